-- SPDX-License-Identifier: Apache-2.0
-- Create a password: the same body for the product and for the echo server.

dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "load.lua")

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = password()
