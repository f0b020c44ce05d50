-- Frees a claim, if it is still ours. KEYS[1] claim; ARGV[1] token. Returns how many were freed.
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
