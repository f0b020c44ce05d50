-- Skills and workflows that agents see as tools (docs/agents.md).
ALTER TABLE workflows
  ADD COLUMN tool VARBINARY(64) NULL,                  -- name of its tool; NULL: it is not exposed
  ADD KEY by_tool (workspace_id, tool);
ALTER TABLE skill_versions
  ADD COLUMN exposed TINYINT UNSIGNED NOT NULL DEFAULT 0; -- as its manifest says
