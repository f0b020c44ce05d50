/* Which node of a Galera cluster takes the writes. The database itself says it, in the row of cluster_writer:
 * the nodes certify its updates, so all proxies that ask the nodes agree without asking each other, and a
 * node of a minority cannot read the row at all.
 *
 * The writer increments a counter in the row. Another node takes the row if the writer is no member of the
 * cluster's view any more, or if the counter has stood still for WRITER_SILENT_MS. Nodes with a lower index
 * in the view go first. A writer that comes back does not take the row back.
 *
 * Galera's status variables: https://mariadb.com/kb/en/galera-cluster-status-variables/ */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mariadb/db.h"

enum {
    WRITER_NODE_SIZE = 256,
    /* The writer's counter grows each second. */
    WRITER_BEAT_MS = 1000,
    /* Longer than any stall in which the nodes find out that one of them is gone. */
    WRITER_SILENT_MS = 10000,
    /* How long a node waits for each node with a lower index that might take the row. */
    WRITER_TURN_MS = 1000,
};

/* One look at a node. */
struct writer_look {
    /* false: a server without Galera; it is the writer unless it is read-only */
    bool is_clustered;
    /* it belongs to the primary component, and statements are executed */
    bool is_ready;
    /* it has applied all that the others committed (4), or serves a node that joins (2) */
    int local_state;
    bool is_read_only;
    /* this node's place in the view, and its address there; "": not known */
    int index;
    char self[WRITER_NODE_SIZE];
    /* the row; "": there is none */
    char writer[WRITER_NODE_SIZE];
    int64_t since_ms, beat;
    bool writer_is_member;
    /* addresses of the members, comma-separated, of the ctx that was passed */
    const char *members;
};

/* ERR_UNAVAILABLE: the node does not answer, or belongs to a minority. ERR_INTERNAL: `millrace migrate` was
 * not run, or the user may not read the row. */
enum err writer_look(struct db *db, void *ctx, struct writer_look *look_r) WARN_UNUSED;

/* What a node has observed so far; zeroed at first. */
struct writer_watch {
    char writer[WRITER_NODE_SIZE];
    int64_t beat;
    /* when the counter was first seen as it is; since when there is no writer; 0: there is one */
    int64_t seen_ms, vacant_ms;
};

enum writer_action { WRITER_WAIT, WRITER_BEAT, WRITER_TAKE };

/* Decides what the node is to do. now_ms: any monotonic clock. Pure. */
enum writer_action writer_decide(struct writer_watch *watch, const struct writer_look *look, int64_t now_ms);
/* True if the node is to get the connections of programs that write. */
bool writer_is_self(const struct writer_look *look);
/* True if the node may answer reads. */
bool writer_can_read(const struct writer_look *look);

/* Makes the node that `look` is of the writer. OK also if another node was faster: look again. */
enum err writer_take(struct db *db, const struct writer_look *look) WARN_UNUSED;
enum err writer_beat(struct db *db, const char *self) WARN_UNUSED;
/* Makes another member the writer, for planned work. ERR_NOT_FOUND: `node` is no member of the view. */
enum err writer_switch(struct db *db, const struct writer_look *look, const char *node) WARN_UNUSED;
