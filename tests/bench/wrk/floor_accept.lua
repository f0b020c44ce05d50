dofile(os.getenv("BENCH_DIR") .. "/common.lua")
function request()
  return wrk.format("POST", os.getenv("BENCH_PATH"), { ["Authorization"] = "Bearer " .. keys[1], ["Content-Type"] = "application/json" }, body)
end
