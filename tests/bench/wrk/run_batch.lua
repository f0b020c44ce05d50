-- Each request has a key of its own and BENCH_ITEMS items like the body of accept.lua.
dofile(os.getenv("BENCH_DIR") .. "/common.lua")
local batch = '{"items": [' .. string.rep(body .. ",", tonumber(os.getenv("BENCH_ITEMS")) - 1) .. body .. "]}"
math.randomseed(os.time())
local run = string.format("%08x", math.random(0, 2 ^ 31 - 1))

function request()
  local i = next_turn()
  return wrk.format("POST", "/api/v1/workflows/" .. workflows[i % #workflows + 1] .. "/run-batch",
    { ["Authorization"] = "Bearer " .. keys[i % #keys + 1], ["Content-Type"] = "application/json",
      ["Idempotency-Key"] = run .. "-" .. i }, batch)
end
