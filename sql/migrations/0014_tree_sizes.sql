-- The number of descendants of a root, kept under its workspace's account lock, so that a child need not count its tree. A tree
-- without a row is counted when it gets its next child.
CREATE TABLE execution_trees (
  root_id UUID NOT NULL PRIMARY KEY,
  size    INT  NOT NULL                              -- rows of execution_children with this root
) ENGINE=InnoDB;
