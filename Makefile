# SPDX-License-Identifier: Apache-2.0
# The one runner, for people and for continuous integration. It needs Python 3.11 or newer and make; whatever else a
# target needs is set up in .venv from the lock files. All paths are relative, so the checkout may lie anywhere.

PYTHON ?= python3
T ?= tests
BENCH_SECONDS ?= 4
MODEL_EXAMPLES ?= 1000
FUZZ_SECONDS ?= 120
DOCS ?=
FILE_MIB ?= 500
ROTATED ?= 20000
POWER_STATES ?= 1000
KILLS ?= 60
ARGS ?=

VENV := .venv
PY := $(VENV)/bin/python
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check --no-deps
# No header, no addresses: a lock file says what is installed, not where this machine downloads from.
COMPILE := env -u PIP_FIND_LINKS $(PY) -m piptools compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	--no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

.SHELLFLAGS := -euc
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help run test test-pg check-pg softhsm strace deploy-check power kills files nodes rotate check fmt format lint types \
	arch docs cov bench bench-pg model fuzz lock vectors clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
	@echo "  PYTHON=python3.12 picks another interpreter for .venv"

run: $(VENV)/.runtime ## create demo data and serve it on 127.0.0.1:8080
	@$(PY) tools/demo.py $(ARGS)

test: $(VENV)/.dev ## run the tests (T=path for some of them, ARGS= for pytest)
	@$(PY) -m pytest $(ARGS) $(T)

softhsm: ## install SoftHSM, a PKCS#11 token in software that a test uses
	@command -v softhsm2-util >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
		&& apt-get install --yes -qq softhsm2 >/dev/null; } || { echo "the tests need SoftHSM; on Debian: apt install softhsm2"; exit 1; }

deploy-check: $(VENV)/.deploy ## check what is in deploy/, each part by its own tool, and try it
	@command -v haproxy >/dev/null && command -v systemd-analyze >/dev/null && command -v openssl >/dev/null \
		&& command -v strace >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
		&& apt-get install --yes -qq --no-install-recommends haproxy systemd openssl strace >/dev/null; } \
		|| { echo "make deploy-check needs more; on Debian: apt install haproxy systemd openssl strace"; exit 1; }
	@command -v patroni >/dev/null && command -v etcd >/dev/null && command -v curl >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
		&& apt-get install --yes -qq --no-install-recommends patroni etcd-server python3-etcd python3-idna curl >/dev/null; } \
		|| { echo "make deploy-check needs more; on Debian: apt install patroni etcd-server python3-idna curl"; exit 1; }
	@DEPLOY_CHECK=1 $(PY) -m pytest $(ARGS) tests/deploy
	@DEPLOY_CHECK=1 $(PY) tools/private_postgres.py $(PY) -m pytest $(ARGS) tests/deploy/test_haproxy.py
strace: ## install strace, which tests of power cuts and of failing disks use
	@command -v strace >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
		&& apt-get install --yes -qq strace >/dev/null; } || { echo "the tests need strace; on Debian: apt install strace"; exit 1; }

power: strace $(VENV)/.dev ## cut the power of a working server in simulation (POWER_STATES=1000)
	@POWER_STATES=$(POWER_STATES) $(PY) -m pytest $(ARGS) tests/fault/test_power.py

kills: $(VENV)/.dev ## kill a working server over and over (KILLS=60)
	@KILLS=$(KILLS) $(PY) -m pytest $(ARGS) tests/fault/test_kill.py

files: $(VENV)/.dev ## run the tests of large files with the largest there can be (FILE_MIB=500)
	@FILE_MIB=$(FILE_MIB) $(PY) -m pytest $(ARGS) tests/fault/test_files.py

nodes: $(VENV)/.dev ## test two nodes on PostgreSQL for minutes: 20000 reads after revocations, 5 kills
	@REVOKED_READS=20000 NODE_KILLS=5 NODE_STEPS=1000 NODE_ITEMS=2000 $(PY) tools/private_postgres.py \
		$(PY) -m pytest $(ARGS) tests/postgres/test_two_nodes.py tests/postgres/test_revoke_on_two_nodes.py \
		tests/postgres/test_rotate_on_two_nodes.py

rotate: $(VENV)/.dev ## rotate the keys of many items under load (ROTATED=20000)
	@ROTATED=$(ROTATED) $(PY) -m pytest $(ARGS) -k under_load tests/fault/test_rotation.py

check: DOCS := --check
check: softhsm strace fmt lint types arch docs test check-pg ## run everything continuous integration runs

fmt: $(VENV)/.dev ## check the formatting (make format mends it)
	@$(PY) -m ruff format --check --quiet . || { echo "run: make format"; exit 1; }

format: $(VENV)/.dev ## format the code and mend what the linter can mend
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format --quiet .

lint: $(VENV)/.dev ## look for likely mistakes
	@$(PY) -m ruff check --quiet .

types: $(VENV)/.dev ## check the types
	@$(PY) -m mypy

arch: $(VENV)/.dev ## check imports, sizes and the other rules of the house
	@$(PY) -m pytest --quiet tests/architecture

docs: $(VENV)/.runtime ## write docs/api/openapi.json; check that links and make targets in the documentation exist
	@$(PY) tools/api_doc.py $(DOCS)
	@$(PY) tools/check_docs.py

test-pg: $(VENV)/.dev ## as test, but on a private PostgreSQL server (T=path, ARGS=)
	@$(PY) tools/private_postgres.py $(PY) -m pytest $(ARGS) $(T)

# Everything but what opens no database, or none but SQLite: architecture, deploy, leak, vectors and a part of unit.
# Two lanes, each with a server of its own: one alone waits for its disk most of the time.
check-pg: T := tests/postgres tests/audit tests/sign_in tests/fault tests/property tests/unit/services tests/unit/storage \
	tests/unit/test_app.py
check-pg: $(VENV)/.dev ## as check runs it: whatever opens a database
	@log=$$(mktemp) && trap 'rm -f "$$log"' EXIT; \
		$(PY) tools/private_postgres.py $(PY) -m pytest $(ARGS) tests/contract tests/e2e >"$$log" 2>&1 & other=$$!; \
		$(PY) tools/private_postgres.py $(PY) -m pytest $(ARGS) $(T); mine=$$?; \
		wait $$other; its=$$?; cat "$$log"; [ $$mine = 0 ] && [ $$its = 0 ]

cov: $(VENV)/.dev ## run the tests and show what they do not reach
	@$(PY) -m pytest --cov --cov-report=term-missing $(ARGS) $(T)

bench: $(VENV)/.runtime ## measure a real server (BENCH_SECONDS=4 each, ARGS="--quick --json FILE")
	@command -v wrk >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get install --yes wrk; } \
		|| { echo "make bench needs wrk; on Debian: apt install wrk"; exit 1; }
	@BENCH_SECONDS=$(BENCH_SECONDS) $(PY) tools/bench.py $(ARGS)

bench-pg: $(VENV)/.dev ## measure it on PostgreSQL, beside the bare driver (BENCH_SECONDS=4, ARGS="--quick --json FILE")
	@command -v wrk >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get install --yes wrk; } \
		|| { echo "make bench-pg needs wrk; on Debian: apt install wrk"; exit 1; }
	@BENCH_SECONDS=$(BENCH_SECONDS) $(PY) tools/bench_postgres.py $(ARGS)

model: $(VENV)/.dev ## compare sharing with its model for minutes, with new examples each time (MODEL_EXAMPLES=1000)
	@MODEL_EXAMPLES=$(MODEL_EXAMPLES) $(PY) -m pytest -k shares_as_the_model $(ARGS) tests/property/test_sharing_model.py

fuzz: $(VENV)/.dev ## play generated requests against a server (FUZZ_SECONDS=120)
	@$(PY) tools/fuzz.py $(FUZZ_SECONDS)

lock: $(VENV)/.dev ## write the lock files anew from pyproject.toml (ARGS=--upgrade for newer versions)
	$(COMPILE) $(ARGS) --build-deps-for editable --output-file requirements.lock pyproject.toml
	$(COMPILE) $(ARGS) --extra s3 --constraint requirements.lock --output-file requirements-s3.lock pyproject.toml
	$(COMPILE) $(ARGS) --extra postgres --constraint requirements.lock --output-file requirements-postgres.lock \
		pyproject.toml
	$(COMPILE) $(ARGS) --extra pkcs11 --constraint requirements.lock --output-file requirements-pkcs11.lock pyproject.toml
	$(COMPILE) $(ARGS) --extra otel --constraint requirements.lock --output-file requirements-otel.lock pyproject.toml
	$(COMPILE) $(ARGS) --build-deps-for editable --extra dev --constraint requirements.lock \
		--output-file requirements-dev.lock pyproject.toml
	$(COMPILE) $(ARGS) --extra deploy --constraint requirements-dev.lock --output-file requirements-deploy.lock \
		pyproject.toml

vectors: $(VENV)/.dev ## run the published test vectors of every algorithm
	@$(PY) -m pytest $(ARGS) tests/vectors

clean: ## remove .venv, caches and build products
	rm -rf $(VENV) .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist htmlcov
	find src tests tools -name __pycache__ -prune -exec rm -rf {} +
	rm -rf src/*.egg-info

# The stamps are older than what they depend on exactly when something has to be installed again.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit("mysafe needs Python 3.11 or newer: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/.made
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.deploy: requirements-deploy.lock $(VENV)/.dev
	@$(INSTALL) --require-hashes -r requirements-deploy.lock
	@touch $@
