-- Bytes in an object store (docs/files.md). The name of an object is never used again.
ALTER TABLE blobs
  ADD COLUMN object UUID NULL;                        -- the object <sha256 in hex>/<object>; NULL: the bytes are below files.dir

-- Objects that no row of blobs names any more, or that lost to another one of the same bytes. Maintenance removes them.
CREATE TABLE dead_objects (
  object     UUID       NOT NULL PRIMARY KEY,
  sha256     BINARY(32) NOT NULL,
  touched_ms BIGINT     NOT NULL,                     -- since when it is dead, or the last failure to remove it
  KEY by_touched (touched_ms)
) ENGINE=InnoDB;

-- The package of a skill is a blob whose name is the package's hash.
ALTER TABLE skill_versions
  ADD KEY by_hash (hash);
