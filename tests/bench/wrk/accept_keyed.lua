dofile(os.getenv("BENCH_DIR") .. "/common.lua")
local nonce = tostring(os.time()) .. "-" .. tostring(math.random(1, 1000000000)) .. "-" .. tostring({}):sub(8)
function request()
  local i = next_turn()
  return post_run(i, { ["Idempotency-Key"] = nonce .. "-" .. i })
end
