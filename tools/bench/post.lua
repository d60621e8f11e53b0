-- SPDX-License-Identifier: Apache-2.0
-- Create items from the body in BENCH_BODY_FILE, or from the password that the echo server gets, too.

dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "load.lua")

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = body()
