-- SPDX-License-Identifier: Apache-2.0
-- Update single items, chosen at random among those made before, with the body in BENCH_BODY_FILE.

dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "load.lua")

local identifiers = identifiers()
local rest

wrk.headers["Content-Type"] = "application/json"

function init(args)
  math.randomseed(2)
  rest = wrk.format("PUT", "/", nil, body()):match("^PUT /(.*)$")
end

function request()
  return "PUT " .. wrk.path .. "/update/" .. identifiers[math.random(#identifiers)] .. rest
end
