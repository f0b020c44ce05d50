dofile(os.getenv("BENCH_DIR") .. "/common.lua")
function request()
  local i = next_turn()
  return wrk.format("GET", "/api/v1/executions/" .. executions[i % #executions + 1], { ["Authorization"] = "Bearer " .. keys[1] })
end
