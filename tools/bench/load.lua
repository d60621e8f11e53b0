-- SPDX-License-Identifier: Apache-2.0
-- What every load script shares: files, the token, and the one line that comes out at the end.

local folder = debug.getinfo(1, "S").source:match("^@(.*/)")

function read(path, what)
  local file = assert(io.open(path, "r"), "cannot read " .. path)
  local text = file:read(what)
  file:close()
  return text
end

function body()
  return read(os.getenv("BENCH_BODY_FILE") or folder .. "password.json", "*a")
end

function identifiers()
  local found = {}
  for line in io.lines(os.getenv("BENCH_IDS_FILE")) do
    found[#found + 1] = line
  end
  return found
end

-- The token is in a file that only its owner can read: a command line is public on the machine.
local token_file = os.getenv("BENCH_TOKEN_FILE")
if token_file then
  wrk.headers["Authorization"] = "Bearer " .. read(token_file, "*l")
end

function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, failed
  ))
end
