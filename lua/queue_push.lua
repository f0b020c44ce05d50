-- Adds the ids of queued runs to the lists of their workspaces, and these workspaces to those with work. A workspace that had no work
-- gets a negative score and comes before those with a long list (queue_take.lua).
-- KEYS[1] the sorted set of workspaces with work; a workspace's list is KEYS[1]:WORKSPACE. ARGV[1] the longest list; then, for each run,
-- its workspace and its id. A list expires an hour after its last push. Returns how many ids were added: full lists take none.
local most, added = tonumber(ARGV[1]), 0
local last = redis.call('ZREVRANGEBYSCORE', KEYS[1], '(0', '-inf', 'WITHSCORES', 'LIMIT', 0, 1)[2] or -1e15
for i = 2, #ARGV, 2 do
  local list = KEYS[1] .. ':' .. ARGV[i]
  if redis.call('LLEN', list) < most then
    redis.call('LPUSH', list, ARGV[i + 1])
    added = added + 1
  end
  if ARGV[i] ~= ARGV[i - 2] or i == 2 then
    redis.call('EXPIRE', list, 3600)
    last = last + redis.call('ZADD', KEYS[1], 'NX', last + 1, ARGV[i])
  end
end
return added
