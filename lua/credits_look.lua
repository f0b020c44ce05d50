-- The balances as far as they are known. KEYS credits hashes. Returns a list of balance or false.
local balances = {}
for i, key in ipairs(KEYS) do balances[i] = redis.call('HGET', key, 'balance') end
return balances
