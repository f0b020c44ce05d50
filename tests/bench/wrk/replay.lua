dofile(os.getenv("BENCH_DIR") .. "/common.lua")
function request() return post_run(0, { ["Idempotency-Key"] = "bench-replay" }) end
