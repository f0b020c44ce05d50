dofile(os.getenv("BENCH_DIR") .. "/common.lua")
function request() return post_run(next_turn()) end
