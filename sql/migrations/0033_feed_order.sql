-- Rows that are not numbered yet are read in their order, without sorting all of them: nobody numbers them while nobody reads the feed.
ALTER TABLE feed_events DROP KEY by_id, ADD KEY by_id (workspace_id, id, at_ms, execution_id DESC);
