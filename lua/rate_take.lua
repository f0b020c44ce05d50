-- Leases requests of a workspace's current window to a host. The window begins with its first request.
-- KEYS[1] the count of requests leased in this window; ARGV[1] the limit, ARGV[2] the number wanted, ARGV[3] the window in ms.
-- Returns {granted, left for other hosts, ms until the window ends}.
local used = tonumber(redis.call('GET', KEYS[1]) or '0')
local rest = redis.call('PTTL', KEYS[1])
local granted = math.max(0, math.min(tonumber(ARGV[2]), tonumber(ARGV[1]) - used))
if rest < 0 then
  redis.call('SET', KEYS[1], granted, 'PX', ARGV[3])
  rest = tonumber(ARGV[3])
elseif granted > 0 then
  redis.call('INCRBY', KEYS[1], granted)
end
return {granted, math.max(0, tonumber(ARGV[1]) - used - granted), rest}
