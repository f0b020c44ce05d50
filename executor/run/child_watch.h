/* Waits for the ends of child executions. Redis announces an end (a hint, which may be lost). Independently,
 * the watched children are polled in MariaDB: every second up to 512 of them, in turn, with one statement.
 * Loop thread only. */
#pragma once

#include "executor/context/executor.h"
#include "run/states.h"

struct child_end {
    enum run_state state;
    enum failure_reason reason;
    /* JSON; NULL: none */
    const char *output;
    /* a sentence; NULL: none */
    const char *error;
};
/* `end` is valid until the function returns. */
typedef void child_ended(void *arg, const struct child_end *end);

struct child_watch;
struct child_watch *child_watch_new(void *ctx, struct executor *exec);

/* Remembers from now on whether the end of a child that is about to be accepted is announced, so that
 * child_watch_add need not look it up. It must be added or forgotten later. */
void child_watch_expect(struct child_watch *w, const id *child);
/* Watches a child. `ended` is called once, later, unless the child is forgotten before. A child that was not
 * expected, or whose end was announced since, is looked up at once, as it may have ended already. */
void child_watch_add(struct child_watch *w, const id *child, child_ended *ended, void *arg);
void child_watch_forget(struct child_watch *w, const id *child);
/* Its end was announced, or may have come: looks it up now. Ignored if the child is not watched. */
void child_watch_notify(struct child_watch *w, const id *child);
/* This process has committed its end. Ignored if the child is not watched. */
void child_watch_tell(struct child_watch *w, const id *child, const struct child_end *end);
/* Children that are watched. */
size_t child_watch_count(const struct child_watch *w);
