-- SPDX-License-Identifier: Apache-2.0
-- Read single passwords, chosen at random among those made before; BENCH_IDS_FILE holds one identifier a line.

dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "load.lua")

local identifiers = identifiers()
local rest

function init(args)
  math.randomseed(1)
  rest = wrk.format("GET", "/"):match("^GET /(.*)$")
end

function request()
  return "GET " .. wrk.path .. "/" .. identifiers[math.random(#identifiers)] .. rest
end
