-- Claims visit the workspaces with queued runs in turn. The index finds the next such workspace, and its oldest runs, without reading
-- the rows of the others; it also finds the runs of an executor, as by_work did.
ALTER TABLE executions
  ADD KEY by_turn (state, executor_id, workspace_id, id),
  DROP KEY by_work;
