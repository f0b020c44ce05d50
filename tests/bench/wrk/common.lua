-- Common part of the wrk scripts. Keys and ids are comma-separated lists in the environment; requests use them in turn.
local function split(text)
  local list = {}
  for item in (text or ""):gmatch("[^,]+") do list[#list + 1] = item end
  return list
end

keys = split(os.getenv("BENCH_KEYS"))
workflows = split(os.getenv("BENCH_WORKFLOWS"))
executions = split(os.getenv("BENCH_EXECUTIONS"))
turn = 0
codes = {}
body = '{"inputs": {"n": 1}}' -- as Python's json writes it: bench.py sends the one that is replayed

function next_turn() turn = turn + 1 return turn end

function post_run(i, extra)
  local headers = { ["Authorization"] = "Bearer " .. keys[i % #keys + 1], ["Content-Type"] = "application/json" }
  for k, v in pairs(extra or {}) do headers[k] = v end
  return wrk.format("POST", "/api/v1/workflows/" .. workflows[i % #workflows + 1] .. "/run-async", headers, body)
end

-- Every thread counts the statuses of its responses; done() adds them up and prints one line of JSON for bench.py.
local threads = {}
function setup(thread) threads[#threads + 1] = thread end
function response(status) codes[status] = (codes[status] or 0) + 1 end
function done(summary, latency)
  local total = {}
  for _, thread in ipairs(threads) do
    for status, n in pairs(thread:get("codes")) do total[status] = (total[status] or 0) + n end
  end
  local parts = {}
  for status, n in pairs(total) do parts[#parts + 1] = string.format('"%d":%d', status, n) end
  io.write(string.format('BENCH {"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"socket_errors":%d,"statuses":{%s}}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout, table.concat(parts, ",")))
end
