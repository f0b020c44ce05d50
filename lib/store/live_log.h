/* The log of a run that runs on another host, whose file is not here: made of the `log` events of the current
 * attempt. It is the beginning of the log that is stored later: it ends before the first bytes that the
 * events leave out, so that a reader can continue at the same offset in the stored log. Bytes that are not
 * UTF-8 are U+FFFD in events. */
#pragma once

#include "mariadb/db.h"
#include "store/artifact.h"

/* The log is not stored yet: a command writes it, or has been stopped and may still write. */
bool live_log_exists(const struct execution_log *log);

struct live_log {
    void *ctx;
    /* of ctx, ends with a NUL that is not counted; NULL while it is empty */
    char *text;
    size_t size;
    /* how many bytes before `text` are still to be skipped */
    int64_t skip;
    size_t max;
};

/* Appends the text of one `log` event, of which `data` is the JSON. False: the log cannot be continued,
 * because bytes are left out here, the event is damaged, or `max` is reached. Pure. */
bool live_log_append(struct live_log *log, const char *data, size_t size) WARN_UNUSED;

/* Reads at most `max` bytes from `offset` on; *text_r belongs to ctx, NULL if there are none. Does not check
 * whether the execution exists or is somebody's. */
enum err live_log_read(struct db *db, void *ctx, const id *execution, int64_t offset, size_t max,
                       char **text_r, size_t *size_r) WARN_UNUSED;
