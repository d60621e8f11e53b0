-- SPDX-License-Identifier: Apache-2.0
-- List the passwords of an actor.

dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "load.lua")
