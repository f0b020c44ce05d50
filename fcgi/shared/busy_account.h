/* Which accounts batches have found locked lately, and since when: an account that somebody holds must not
 * keep all workers. Records lie in memory that the workers share, one for each worker, so that as many
 * accounts are remembered as workers can wait for, and the records of an account that somebody waits for are
 * never given to another. Read and written without a lock: it is only about fairness. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct busy_account {
    /* A hash of the workspace; 0: none. */
    _Atomic uint64_t workspace;
    /* Since when batches have found the account locked, and when one did last (CLOCK_BOOTTIME). */
    _Atomic int64_t since_ms, last_ms;
    /* The account's version then. Another one means that it was free in between, and that others were first.
     */
    _Atomic int64_t version;
    /* The workspace again while the worker's request waits for its account; otherwise 0. */
    _Atomic uint64_t waits_for;
    /* Since when it waits (CLOCK_BOOTTIME). */
    _Atomic int64_t waits_since_ms;
    /* A futex: how often the account was offered to a worker that waits outside of the slots. */
    _Atomic uint32_t offers;
};

/* Records in `own`, one of the `n` records, that the account is locked. Returns since when it is held. An
 * account that several hosts write all the time is locked at nearly every look, but nobody holds it: each
 * host waits only for the others' COMMITs. */
int64_t busy_account_remember(struct busy_account *records, unsigned n, struct busy_account *own,
                              uint64_t workspace, int64_t version, int64_t now_ms);

/* The account was free. */
void busy_account_forget(struct busy_account *records, unsigned n, uint64_t workspace);

/* Index of the record whose request has waited longest for the account; `n` if none waits. */
unsigned busy_account_first(const struct busy_account *records, unsigned n, uint64_t workspace);

/* Ends the pause of the worker of the record, as soon as it begins one after `offers` was read. */
void busy_account_offer(struct busy_account *record);

/* Pauses until the account is offered, at most for `ms` (less than 1,000). `offers` was read before the
 * worker was seen to wait. */
void busy_account_pause(struct busy_account *own, uint32_t offers, int ms);
