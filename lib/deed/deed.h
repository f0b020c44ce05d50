/* The audit log of people's deeds: who changed what, and when. A row is written by the transaction of the
 * change, so that there is no change without its row and no row without its change. Rows are only added: the
 * users of the daemons may insert and look up an id, nothing else (sql/grants.sql).
 *
 * Whoever acts is stated once per command or request (deed_begin); the functions that make a change call
 * deed_record. Nothing is recorded while nobody acts: what the system does by itself (retention, deadlines,
 * recovery) is told by events and the log. A run that is started is no deed: its execution names the key.
 *
 * A detail holds no secret and no content of a client: names, ids, numbers, limits. It is the caller's duty
 * to pass none. The state is the process's own; not thread-safe. */
#pragma once

#include "mariadb/db.h"

enum deed_actor { DEED_BY_USER = 1, DEED_BY_KEY, DEED_BY_OPERATOR };

enum {
    /* Bytes that are stored; longer texts are cut between two characters. */
    DEED_ACTOR_MAX = 128,
    DEED_ORIGIN_MAX = 255,
    DEED_TARGET_MAX = 512,
    DEED_VALUE_MAX = 1000,
};

/* From now on, changes are made by `actor`: a user of the operating system, the id of an API key, or the name
 * of an operator of the console.
 * `origin`: the command and its host, or the id of the request. The texts are copied. */
void deed_begin(enum deed_actor kind, const char *actor, const char *origin);
/* What is recorded from now on is a further deed, even if it has the name and target of the last one. For a
 * command that makes the same change in several transactions; call it between them. */
void deed_next(void);
/* From now on, nobody acts. */
void deed_end(void);

/* A person's change of a workspace begins with it, before it locks any other row. Until its end, the
 * workspace cannot be frozen (accounts.frozen): the change is complete before the workspace is exported, or
 * refused. Locks the account and writes it. NULL or not set: the change concerns the installation, and
 * nothing is done. A transaction that begins with account_lock (lib/account/account.h) needs no other.
 * ERR_FROZEN: it is frozen, because it is being moved to another cell or was moved. ERR_NOT_FOUND: it has no
 * account. */
enum err deed_hold(struct db_tx *tx, const id *workspace) WARN_UNUSED;

/* What a deed says beside its target: a list that ends with {0}. A NULL value is written as null. */
struct deed_detail {
    const char *name, *value;
};

/* Adds a row to the transaction of the change. `name`: noun and verb, such as "key.revoke". `workspace`
 * NULL: the change concerns the installation. `target`: id or name of what was changed. `detail` may be NULL.
 * The row of one deed has one id in each run of the transaction; if a settling run finds that row, it adds
 * none. Errors as of db_run. */
enum err deed_record(struct db_tx *tx, const char *name, const id *workspace, const char *target,
                     const struct deed_detail *detail) WARN_UNUSED;

/* For a transaction of several statements that begins by looking whether an earlier attempt of it, whose
 * COMMIT was not answered, has been committed (tx->settling): true in *found_r if its deed is there. It then
 * has nothing to do. Its result must not depend on rows that are gone. */
enum err deed_find_committed(struct db_tx *tx, const char *name, const id *workspace, const char *target,
                             bool *found_r) WARN_UNUSED;

/* A change that is one statement. */
struct deed_statement {
    enum sql_id query;
    const struct db_value *args;
    size_t args_n;
    const char *name;
    const id *workspace;
    const char *target;
    const struct deed_detail *detail;
    /* Optional: called between the hold and the statement, unless the deed is found to be committed. */
    enum err (*before)(struct db_tx *tx, const id *workspace);
};
/* Holds the workspace, runs the statement and records the deed in one transaction. ERR_NOT_FOUND: the
 * statement matched no row, or there is no such workspace. Other errors as of deed_hold and db_transaction.
 */
enum err deed_run(struct db *db, const struct deed_statement *s) WARN_UNUSED;
