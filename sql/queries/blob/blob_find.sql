SELECT sha256 FROM blobs WHERE sha256 IN ([[?]])
