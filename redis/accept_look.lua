-- What is known of a keyed request before anything is done.
-- KEYS[1] replay entry, KEYS[2] claim, KEYS[3] credits hash; ARGV[1] token (the execution id that would be).
-- Returns {replay entry or false, 1 if the claim was had, balance or false}.
local replay = redis.call('GET', KEYS[1])
if replay then return {replay, 0, false} end
local claimed = redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', 1000)
return {false, claimed and 1 or 0, redis.call('HGET', KEYS[3], 'balance')}
