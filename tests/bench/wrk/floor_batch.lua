-- The items of run_batch.lua for tests/bench/floor.c, which counts as many runs as it makes itself.
dofile(os.getenv("BENCH_DIR") .. "/common.lua")
local batch = '{"items": [' .. string.rep(body .. ",", tonumber(os.getenv("BENCH_ITEMS")) - 1) .. body .. "]}"

function request()
  return wrk.format("POST", os.getenv("BENCH_PATH"), { ["Authorization"] = "Bearer " .. keys[1], ["Content-Type"] = "application/json" }, batch)
end
