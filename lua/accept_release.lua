-- Frees a claim, if it is still ours: else the key's answer may stand there. KEYS[1] the idempotency key's; ARGV[1] what it
-- was claimed with. Returns how many were freed.
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
