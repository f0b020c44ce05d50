-- The audit log of people's deeds (lib/deed/deed.h): one row for each change that an operator or a caller made, written by the
-- transaction of the change. Rows are only added; millrace audit-log --remove-expired removes the oldest.
CREATE TABLE deeds (
  id           UUID         NOT NULL PRIMARY KEY,
  at_ms        BIGINT       NOT NULL,                 -- Unix milliseconds; also in the id
  workspace_id UUID         NULL,                     -- NULL: concerns the installation
  actor_kind   VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL, -- user: of the operating system; key: of the API
  actor        VARCHAR(191) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, -- the user's name, or the key's id
  origin       VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, -- the command and its host, or the request's id
  deed         VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL, -- such as key.revoke
  target       VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, -- id or name of what was changed
  detail       TEXT         CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL, -- a JSON object of texts
  KEY by_workspace (workspace_id, id),
  KEY by_actor (actor, id)
) ENGINE=InnoDB;
