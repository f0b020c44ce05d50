-- Copies balances from MariaDB into the cache, except where the cache holds the same or a newer version of the account.
-- KEYS: credits hashes; ARGV: for each key its balance in micro-credits and the account's version. The copy expires after a day.
-- Returns how many were set.
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
