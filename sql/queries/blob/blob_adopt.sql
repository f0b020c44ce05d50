-- For bytes that were copied from files.dir to the object store.
UPDATE blobs SET object = ? WHERE sha256 = ? AND object IS NULL
