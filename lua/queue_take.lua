-- Takes ids of queued runs, oldest first of each workspace and in turn over the workspaces. Workspaces with a short list (a negative
-- score) come first: an equal share each of half of what is wanted, so that those with a long list advance too. These get an equal share
-- each of what is left, and what one leaves goes to the others. A workspace whose list is empty leaves the set; another becomes the last
-- of its kind. A short list becomes a long one above 64 ids, and a long one a short one at 16.
-- KEYS[1] the sorted set of workspaces with work; ARGV[1] the number wanted, ARGV[2] a workspace that was popped from the set and
-- comes first, and ARGV[3] its score. Returns how many of the ids, from the first one on, come before those of long
-- lists, and the ids.
local left, ids, popped, score = tonumber(ARGV[1]), {}, ARGV[2], tonumber(ARGV[3])
local last_long = math.max(0, tonumber(redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2] or 0))
local last_short = redis.call('ZREVRANGEBYSCORE', KEYS[1], '(0', '-inf', 'WITHSCORES', 'LIMIT', 0, 1)[2] or -1e15
local function take(name, most, short_up_to)
  local list = KEYS[1] .. ':' .. name
  local taken = redis.call('RPOP', list, most) or {}
  for _, id in ipairs(taken) do ids[#ids + 1] = id end
  left = left - #taken
  local length = redis.call('LLEN', list)
  if length == 0 then
    redis.call('ZREM', KEYS[1], name)
  elseif length <= short_up_to then
    last_short = last_short + 1
    redis.call('ZADD', KEYS[1], last_short, name)
  else
    last_long = last_long + 1
    redis.call('ZADD', KEYS[1], last_long, name)
  end
  return length > 0
end
-- Takes until `most` are taken or the lists are empty.
local function take_in_turn(names, most, short_up_to)
  local until_left = left - most
  while left > until_left and #names > 0 do
    local more = {}
    for i, name in ipairs(names) do
      if left == until_left then break end
      if take(name, math.ceil((left - until_left) / (#names - i + 1)), short_up_to) then more[#more + 1] = name end
    end
    names = more
  end
end
local function names_between(from, to, with_popped)
  local names = redis.call('ZRANGE', KEYS[1], from, to, 'BYSCORE', 'LIMIT', 0, 64)
  if with_popped and names[1] ~= popped then table.insert(names, 1, popped) end
  return names
end
-- A single place goes to one kind or the other, by chance.
local half = left > 1 and math.ceil(left / 2) or redis.call('TIME')[2] % 2
take_in_turn(names_between('-inf', '(0', score < 0), half, 64)
local short = #ids
take_in_turn(names_between(0, '+inf', score >= 0), left, 16)
local has_long = #ids > short
take_in_turn(names_between('-inf', '(0'), left, 64)
if not has_long then short = #ids end
if redis.call('EXISTS', KEYS[1] .. ':' .. popped) == 1 then redis.call('ZADD', KEYS[1], 'NX', score, popped) end
return {short, unpack(ids)}
