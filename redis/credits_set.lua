-- The counter of a workspace becomes what MariaDB said, unless something newer stands there already.
-- KEYS[1] the credits hash; ARGV[1] balance in micro-credits, ARGV[2] the account's version. Returns 1 if set.
local version = redis.call('HGET', KEYS[1], 'version')
if version and tonumber(version) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'balance', ARGV[1], 'version', ARGV[2])
redis.call('EXPIRE', KEYS[1], 86400)
return 1
