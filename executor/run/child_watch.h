/* Children whose ends somebody waits for. Redis says when one has ended (a hint); once a second those that
 * are waited for are looked up in MariaDB all the same, in turns, a batch of them by one statement. */
#pragma once

#include "executor/context/executor.h"
#include "run/states.h"

struct child_end {
    enum run_state state;
    enum failure_reason reason;
    const char *output; /* JSON, or NULL */
    const char *error;
};
typedef void child_ended(void *arg, const struct child_end *end);

struct child_watch;
struct child_watch *child_watch_new(void *ctx, struct executor *exec);

/* `ended` is called once, later, unless forgotten before. It is looked up at once: it may have ended already.
 */
void child_watch_add(struct child_watch *w, const id *child, child_ended *ended, void *arg);
void child_watch_forget(struct child_watch *w, const id *child);
/* Redis said that it has ended; of no meaning where nobody waits for it. */
void child_watch_notify(struct child_watch *w, const id *child);
/* Children that are watched. */
size_t child_watch_count(const struct child_watch *w);
