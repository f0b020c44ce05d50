-- Counters of workspaces become what MariaDB said, each unless something newer stands there already.
-- KEYS the credits hashes; ARGV for each its balance in micro-credits and the account's version. Returns how many were set.
local set = 0
for i, key in ipairs(KEYS) do
  local balance, version = ARGV[2 * i - 1], ARGV[2 * i]
  local known = redis.call('HGET', key, 'version')
  if not known or tonumber(known) < tonumber(version) then
    redis.call('HSET', key, 'balance', balance, 'version', version)
    redis.call('EXPIRE', key, 86400)
    set = set + 1
  end
end
return set
