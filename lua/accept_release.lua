-- Releases the lock of an idempotency key if it still holds our value; another value may be the key's stored response.
-- KEYS[1] the replay key; ARGV[1] the value it was locked with. Returns how many keys were deleted.
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
