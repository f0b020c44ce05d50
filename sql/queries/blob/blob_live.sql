-- Without a lock.
SELECT sha256, object FROM blobs WHERE dead = 0 AND sha256 IN ([[?]])
