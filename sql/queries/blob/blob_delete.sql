DELETE FROM blobs WHERE sha256 IN ([[?]])
