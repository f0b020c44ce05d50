-- Takes ids of queued runs, oldest first of each workspace and in turn over the workspaces: each gets an equal share of what is
-- wanted, and what one leaves goes to the others. A workspace whose list is empty leaves the round; another becomes the last of it.
-- KEYS[1] the sorted set of workspaces with work; ARGV[1] the number wanted, ARGV[2] a workspace that was popped from the set and
-- comes first, or ''. Returns the ids.
local left, ids = tonumber(ARGV[1]), {}
local names = redis.call('ZRANGE', KEYS[1], 0, 63)
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2] or 0
if ARGV[2] ~= '' and names[1] ~= ARGV[2] then table.insert(names, 1, ARGV[2]) end
while left > 0 and #names > 0 do
  local more = {}
  for i, name in ipairs(names) do
    if left == 0 then break end
    local share = math.ceil(left / (#names - i + 1))
    local taken = redis.call('RPOP', KEYS[1] .. ':' .. name, share) or {}
    for _, id in ipairs(taken) do ids[#ids + 1] = id end
    left = left - #taken
    if #taken < share then
      redis.call('ZREM', KEYS[1], name)
    else
      last = last + 1
      redis.call('ZADD', KEYS[1], last, name)
      more[#more + 1] = name
    end
  end
  names = more
end
return ids
