/* Transactions: repeated after a deadlock, settled if the answer to COMMIT was lost. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <talloc.h>
#include <time.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/tally.h"
#include "mariadb/db_private.h"

enum {
    /* runs of one transaction, the repetitions included */
    TRIES = 5,
    SETTLE_PAUSE_MS = 20,
    /* answers to KILL (mysqld_error.h): no such connection; the connection belongs to another user */
    E_NO_SUCH_THREAD = 1094,
    E_KILL_DENIED = 1095,
};

enum tx_outcome { TX_DONE, TX_RETRY, TX_COMMIT_LOST };

static void tx_rollback(struct db *db)
{
    if (db->conn && db->in_transaction)
        (void)db_command(db, "ROLLBACK");
    db->in_transaction = false;
}

static enum db_fault tx_commit(struct db *db)
{
    int64_t began_us = clock_boot_us();
    db_count_round_trip(db);
    failpoint("db.before_commit");
    int failed = mysql_send_query(db->conn, "COMMIT", 6);
    failpoint("db.in_commit");
    if (failed != 0 || mysql_read_query_result(db->conn) != 0)
        return db_record_commit_error(db);
    tally_commit(clock_boot_us() - began_us);
    failpoint("db.after_commit");
    return db->fault = FAULT_NONE;
}

/* Consecutive transactions stay at autocommit=0, where a transaction begins with its first statement; this
 * saves the round trip of START TRANSACTION. The switch costs one round trip, as START TRANSACTION would
 * have. The first plain statement afterwards pays one round trip to switch back (db_restore_autocommit). */
static enum db_fault tx_begin(struct db *db)
{
    bool is_consecutive = db->was_transaction;
    db->was_transaction = true;
    if (db_apply_limit(db, true) != FAULT_NONE)
        return db->fault;
    if (db->autocommit_off)
        return db->fault = FAULT_NONE;
    enum db_fault fault = db_command(db, is_consecutive ? "SET autocommit=0" : "START TRANSACTION");
    db->autocommit_off = is_consecutive && fault == FAULT_NONE;
    return fault;
}

/* While settling, a refusal is as binding as any other answer, and is decided under the same locks. So it
 * ends in a commit that writes them: the work's own changes are undone, but InnoDB keeps the locks. */
static enum err tx_refuse(struct db_tx *tx, enum err refusal, enum err *refusal_r)
{
    if (db_command(tx->db, "ROLLBACK TO SAVEPOINT work") != FAULT_NONE)
        return db_err(tx->db->fault);
    *refusal_r = refusal;
    tx->before_commit = NULL;
    return tx->write_locked(tx, tx->write_locked_arg);
}

/* Runs the work up to COMMIT. OK with *refusal_r set: the transaction is to be committed, and the work has
 * refused. */
static enum err tx_run_work(struct db_tx *tx, db_work *work, void *arg, enum err *refusal_r)
{
    if (tx->settling && db_command(tx->db, "SAVEPOINT work") != FAULT_NONE)
        return db_err(tx->db->fault);
    enum err e = work(tx, arg);
    if (e != OK && tx->settling && tx->write_locked && !err_is_transient(e) && tx->db->conn)
        return tx_refuse(tx, e, refusal_r);
    if (e == OK && tx->write_locked && tx->unwritten > 0)
        e = tx->write_locked(tx, tx->write_locked_arg);
    if (e == OK && tx->before_commit)
        e = tx->before_commit(tx, tx->before_commit_arg);
#ifdef MILLRACE_DEBUG
    if (e == OK && tx->unwritten > 0) {
        log_error("db.unwritten_lock", "rows=%zu", tx->unwritten);
        abort();
    }
#endif
    return e;
}

static void count_moved(const struct db_tx *tx)
{
    for (int kind = 0; kind < DB_TX_MOVED_KINDS; kind++)
        tally_add(MEASURE_MONEY, kind, 0, 0, tx->moved[kind].n, tx->moved[kind].amount);
}

/* Runs the transaction once, from its beginning to COMMIT. */
static enum tx_outcome tx_attempt(struct db *db, bool settling, db_work *work, void *arg, enum err *e_r)
{
    *e_r = ERR_UNAVAILABLE;
    db->in_transaction = false;
    if (db_connect(db) != FAULT_NONE || tx_begin(db) != FAULT_NONE)
        return TX_RETRY;
    db->in_transaction = true;
    struct db_tx tx = {.db = db, .settling = settling, .ctx = talloc_new(db)};
    db->fault = FAULT_NONE;
    enum err refusal = OK;
    *e_r = tx_run_work(&tx, work, arg, &refusal);
    enum db_fault during = db->fault;
    talloc_free(tx.ctx);
    if (*e_r != OK) {
        tx_rollback(db);
        return err_is_transient(*e_r) && (during == FAULT_RETRY || during == FAULT_CONNECTION) ? TX_RETRY
                                                                                               : TX_DONE;
    }
    db->in_transaction = false;
    enum db_fault fault = db->conn ? tx_commit(db) : FAULT_CONNECTION;
    *e_r = fault == FAULT_NONE ? refusal : db_err(fault);
    if (fault == FAULT_NONE && refusal == OK)
        count_moved(&tx);
    if (fault == FAULT_NONE)
        return TX_DONE;
    if (fault == FAULT_CONNECTION)
        return TX_COMMIT_LOST;
    (void)db_command(db, "ROLLBACK"); /* refused; the next transaction must not begin inside of this one */
    return TX_DONE;
}

/* Kills the old connection, so that it cannot commit after the work has looked for its ids. It is dead as
 * well if the server does not know it, or if its number now belongs to another user's connection: the server
 * was restarted in between, and the old connection ended with the old server.
 *
 * A number of another server is not killed: here it may belong to a stranger. There is no need: with Galera
 * the old server either takes part in the same order of commits, in which the locks and writes of the
 * settling work make the later of the two fail, or it can no longer commit. */
static bool kill_connection(struct db *db, uint64_t old)
{
    if (!old || db_connect(db) != FAULT_NONE)
        return old == 0;
    if (!db_is_same_server(db, old))
        return true;
    char text[64];
    snprintf(text, sizeof text, "KILL HARD CONNECTION %" PRIu64, db_connection_number(old));
    db_count_round_trip(db);
    if (mysql_query(db->conn, text) == 0 || mysql_errno(db->conn) == E_NO_SUCH_THREAD ||
        mysql_errno(db->conn) == E_KILL_DENIED)
        return true;
    db_record_error(db, mysql_errno(db->conn), text, mysql_error(db->conn));
    return false;
}

enum err db_transaction_settle(struct db *db, uint64_t old_connection, db_work *work, void *arg)
{
    int64_t until_ms = clock_boot_ms() + db_settle_ms(db);
    db->counters.settled++;
    uint64_t old = old_connection;
    do {
        enum err e;
        if (kill_connection(db, old)) {
            uint64_t mine = db_connection_id(db);
            enum tx_outcome outcome = tx_attempt(db, true, work, arg, &e);
            /* Nothing was done by this attempt; whether the first one committed is still not known. */
            bool undecided = outcome == TX_DONE && err_is_transient(e);
            if (outcome == TX_DONE && !undecided)
                return e;
            if (outcome == TX_COMMIT_LOST)
                old = mine;
        }
        struct timespec pause = {.tv_nsec = SETTLE_PAUSE_MS * 1000000L};
        nanosleep(&pause, NULL);
    } while (clock_boot_ms() < until_ms);
    return ERR_UNCERTAIN;
}

enum err db_transaction(struct db *db, db_work *work, void *arg)
{
    enum err e = ERR_UNAVAILABLE;
    bool reconnected = false;
    for (int i = 0; i < TRIES; i++) {
        if (db_connect(db) != FAULT_NONE)
            return ERR_UNAVAILABLE;
        uint64_t mine = db_connection_id(db);
        switch (tx_attempt(db, false, work, arg, &e)) {
        case TX_DONE:
            return e;
        case TX_COMMIT_LOST:
            return db_transaction_settle(db, mine, work, arg);
        case TX_RETRY:
            if (!db->conn && reconnected)
                return ERR_UNAVAILABLE;
            /* A daemon has waited for the lock long enough: 5 waits of 2 s would hold up others. */
            if (db->conn && db->lock_timed_out && !db->settings.repeats_lock_waits)
                return e;
            reconnected = reconnected || !db->conn;
        }
    }
    log_warn("db.retries_exhausted", "tries=%d", TRIES);
    return e;
}
