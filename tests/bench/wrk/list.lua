dofile(os.getenv("BENCH_DIR") .. "/common.lua")
function request() return wrk.format("GET", "/api/v1/executions?limit=20", { ["Authorization"] = "Bearer " .. keys[1] }) end
