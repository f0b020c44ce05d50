SELECT sha256, size, object FROM blobs WHERE sha256 IN ([[?]])
