-- What of a destination's rows that are set aside is to be sent again, in order: looked for before each request.
ALTER TABLE pushes_aside ADD KEY by_again (push_id, again, last), ALGORITHM=NOCOPY, LOCK=NONE;
