-- Reads cached balances. KEYS: credits hashes. Returns a list: for each key its balance, or false if none is cached.
local balances = {}
for i, key in ipairs(KEYS) do balances[i] = redis.call('HGET', key, 'balance') end
return balances
