#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Make the secrets of compose.yaml, each readable by the one who uses it. Run it as root: make-secrets.sh DIRECTORY
#
# root_key            32 random bytes that open the vault. Copy it to a safe place, apart from copies of the database.
# database_password   of PostgreSQL's user
# tls                 a certificate for localhost that nobody trusts, and its key. Put yours in its place.
#
# A file that is there stays as it is.
set -eu
umask 077
directory=${1:?"usage: make-secrets.sh DIRECTORY"}
node=10001  # the user of the image mysafe
proxy=99    # the user of the image haproxy
mkdir -p "$directory"
chmod 711 "$directory"
cd "$directory"

# Give a finished file its owner, then its name, so that half a secret never has it.
keep() {
    if [ "$(id -u)" = 0 ]; then
        chown "$2:$2" "$1.new"
    else
        echo "$1: run 'chown $2:$2 $directory/$1' as root" >&2
    fi
    chmod 0400 "$1.new"
    mv "$1.new" "$1"
}

[ -e root_key ] || { head -c 32 /dev/urandom >root_key.new && keep root_key "$node"; }
[ -e database_password ] || {
    head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >database_password.new && keep database_password "$node"
}
[ -e tls ] || {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.new -out tls.new 2>/dev/null
    cat key.new >>tls.new
    rm key.new
    keep tls "$proxy"
}
