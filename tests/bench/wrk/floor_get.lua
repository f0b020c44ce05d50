dofile(os.getenv("BENCH_DIR") .. "/common.lua")
function request()
  local i = next_turn()
  return wrk.format("GET", os.getenv("BENCH_PATH") .. "/" .. executions[i % #executions + 1], { ["Authorization"] = "Bearer " .. keys[1] })
end
