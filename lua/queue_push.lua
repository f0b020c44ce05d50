-- Adds the ids of queued runs to the lists of their workspaces, and these workspaces to those with work. A workspace that had no work
-- gets a negative score and comes before those with a long list (queue_take.lua).
-- KEYS[1] the sorted set of workspaces with work; a workspace's list is KEYS[1]:WORKSPACE. ARGV[1] the longest list; then groups of runs
-- of one workspace, because calls and arguments are most of what the script costs: the workspace, the number of ids, and the ids. A list
-- expires an hour after its last push. Returns how many ids were added: full lists take none.
local most, added, i = tonumber(ARGV[1]), 0, 2
while i < #ARGV do
  local name, n = ARGV[i], tonumber(ARGV[i + 1])
  local list = KEYS[1] .. ':' .. name
  local length = redis.call('LPUSH', list, unpack(ARGV, i + 2, i + 1 + n))
  if length > most then redis.call('LTRIM', list, length - most, -1) end
  added = added + math.max(0, n - math.max(0, length - most))
  redis.call('EXPIRE', list, 3600)
  if not redis.call('ZSCORE', KEYS[1], name) then
    local last = redis.call('ZREVRANGEBYSCORE', KEYS[1], '(0', '-inf', 'WITHSCORES', 'LIMIT', 0, 1)[2] or -1e15
    redis.call('ZADD', KEYS[1], last + 1, name)
  end
  i = i + 2 + n
end
return added
