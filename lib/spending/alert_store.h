/* Setting and showing the alerts of a workspace's credits (docs/budgets.md); lib/account/alerts.h decides
 * them. */
#pragma once

#include "account/alerts.h"
#include "mariadb/db.h"

enum {
    /* Lines of the balance. */
    ALERT_LINES_MAX = 10,
    ALERT_PERCENT_MIN = 1,
    ALERT_PERCENT_MAX = 99,
    ALERT_SPEND_PERCENT_MIN = 101,
    ALERT_SPEND_PERCENT_MAX = 10000,
};
/* Micro-credits: a thousand million credits. */
#define ALERT_CREDITS_MAX INT64_C(1000000000000000)

struct alert_settings {
    /* kind, value and at_least of each: up to ALERT_LINES_MAX of the balance, none of them twice, and up to
     * one of spending, last. */
    struct alert wanted[ALERT_LINES_MAX + 1];
    size_t n;
};

/* Adds a line of the balance. False: there are ALERT_LINES_MAX, or this one is there. */
bool alert_settings_add(struct alert_settings *s, enum alert_kind kind, int64_t value);
/* Replaces the alerts of a workspace. Those that stay keep whether they were told; a new line that is crossed
 * already is told at once. ERR_NOT_FOUND: no such workspace. */
enum err alert_settings_store(struct db *db, const id *workspace,
                              const struct alert_settings *settings) WARN_UNUSED;
