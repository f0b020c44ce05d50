#include "push/destination.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "billing/ledger_numbers.h"
#include "billing/ledger_sums.h"
#include "billing/statement.h"
#include "deed/deed.h"
#include "secret/seal.h"
#include "store/usage.h"

uint32_t push_all_kinds(void)
{
    uint32_t kinds = 0;
    for (int k = 1; k < BILLING_KINDS; k++)
        kinds |= billing_kind(k)->member ? UINT32_C(1) << k : 0;
    return kinds;
}

static int find_kind(const char *name, size_t size)
{
    for (int k = 1; k < BILLING_KINDS; k++) {
        const char *known = billing_kind(k)->member ? ledger_kind_name((enum ledger_kind)k) : "";
        if (strlen(known) == size && size > 0 && memcmp(known, name, size) == 0)
            return k;
    }
    return 0;
}

bool push_kinds_parse(const char *text, uint32_t *kinds_r)
{
    *kinds_r = PUSH_KINDS_ALL;
    if (strcmp(text, "all") == 0)
        return true;
    *kinds_r = 0;
    for (;;) {
        size_t size = strcspn(text, ",");
        int kind = find_kind(text, size);
        if (kind == 0)
            return false;
        *kinds_r |= UINT32_C(1) << kind;
        if (!text[size])
            return true;
        text += size + 1;
    }
}

const char *push_kinds_text(void *ctx, uint32_t kinds)
{
    char *text = talloc_strdup(ctx, "");
    for (int k = 1; k < BILLING_KINDS; k++) {
        if ((kinds & (UINT32_C(1) << k)) && billing_kind(k)->member)
            text = talloc_asprintf_append_buffer(text, "%s%s", *text ? "," : "",
                                                 ledger_kind_name((enum ledger_kind)k));
    }
    return text;
}

const char *push_auth_name(enum push_auth auth)
{
    static const char *const names[] = {"none", "bearer", "signature"};
    return auth <= PUSH_AUTH_SIGNATURE ? names[auth] : "unknown";
}

bool push_bearer_fits(const char *token)
{
    size_t size = strlen(token);
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)token[i] <= ' ' || (unsigned char)token[i] >= 0x7f)
            return false;
    }
    return size >= SECRET_VALUE_MIN && size <= PUSH_SECRET_MAX;
}

/* --- adding --- */

struct adding {
    const uint8_t *key;
    const struct push *push;
    const char *secret;
    bool from_start;
    id id;
    /* Rows that entered the ledger before are not all numbered yet. */
    bool goes_on;
};

static enum err insert_push(struct db_tx *tx, const struct adding *a, int64_t number)
{
    const struct push *p = a->push;
    size_t size = a->secret ? strlen(a->secret) : 0;
    uint8_t *nonce = talloc_zero_array(tx->ctx, uint8_t, SECRET_NONCE_SIZE);
    uint8_t *sealed = talloc_array(tx->ctx, uint8_t, size + SECRET_SEAL_SIZE);
    if (a->secret)
        secret_seal(a->key, &a->id, PUSH_SEAL_NAME, a->secret, size, nonce, sealed);
    struct db_value v[PUSH_INSERT_SET_COUNT] = {
        [PUSH_INSERT_SET_ID] = db_id(&a->id),
        [PUSH_INSERT_SET_NAME] = db_text(p->name),
        [PUSH_INSERT_SET_URL] = db_text(p->url),
        [PUSH_INSERT_SET_KINDS] = db_number(p->kinds),
        [PUSH_INSERT_SET_AUTH] = db_number(p->auth),
        [PUSH_INSERT_SET_NONCE] = a->secret ? db_bytes(nonce, SECRET_NONCE_SIZE) : db_null(),
        [PUSH_INSERT_SET_SEALED] = a->secret ? db_bytes(sealed, size + SECRET_SEAL_SIZE) : db_null(),
        [PUSH_INSERT_SET_NUMBER] = db_number(number),
        [PUSH_INSERT_SET_DUE_MS] = db_number(0),
        [PUSH_INSERT_SET_CREATED_MS] = db_number(clock_wall_ms()),
    };
    return db_run_each(tx->db, tx->ctx, SQL_PUSH_INSERT, NULL, 0, v, PUSH_INSERT_SET_COUNT, 1, NULL);
}

/* Numbers what has entered the ledger, and adds the destination with the last number: what has none then is
 * committed later. The rows of a ledger that had no destination take as many transactions as they need. */
static enum err add_work(struct db_tx *tx, void *arg)
{
    struct adding *a = arg;
    struct db_value name = db_text(a->push->name);
    struct db_rows *rows;
    int64_t last;
    uint64_t numbered;
    enum err e = ledger_numbers_give(tx, &last, &numbered);
    a->goes_on = e == OK && numbered == LEDGER_NUMBERS_ROWS;
    if (e != OK || a->goes_on)
        return e;
    e = db_run(tx->db, tx->ctx, SQL_PUSH_COUNT, &name, 1, &rows);
    if (e != OK)
        return e;
    id same = db_get_id(rows, 0, PUSH_COUNT_SAME);
    if (id_is_set(&same))
        return tx->settling && id_equal(&same, &a->id) ? OK : ERR_CONFLICT;
    if (db_int(rows, 0, PUSH_COUNT_N) >= PUSHES_MAX)
        return ERR_LIMIT;
    e = insert_push(tx, a, a->from_start ? 0 : last);
    const struct deed_detail detail[] = {{"url", a->push->url},
                                         {"kinds", push_kinds_text(tx->ctx, a->push->kinds)},
                                         {"auth", push_auth_name(a->push->auth)},
                                         {0}};
    return e == OK ? deed_record(tx, "push.add", NULL, a->push->name, detail) : e;
}

enum err push_add(struct db *db, const uint8_t *key, const struct push *p, const char *secret,
                  bool from_start)
{
    struct adding a = {key, p, p->auth == PUSH_AUTH_NONE ? NULL : secret, from_start, id_new(), false};
    uint64_t summed;
    enum err e;
    do
        e = ledger_sums_step(db, &summed);
    while (e == OK && summed > 0);
    for (a.goes_on = true; e == OK && a.goes_on;)
        e = db_transaction(db, add_work, &a);
    return e;
}

/* --- listing --- */

static struct push from_row(const struct db_rows *rows, size_t i)
{
    return (struct push){
        .id = db_get_id(rows, i, PUSH_LIST_ID),
        .name = db_str(rows, i, PUSH_LIST_NAME),
        .url = db_str(rows, i, PUSH_LIST_URL),
        .kinds = (uint32_t)db_int(rows, i, PUSH_LIST_KINDS),
        .auth = (enum push_auth)db_int(rows, i, PUSH_LIST_AUTH),
        .number = db_int(rows, i, PUSH_LIST_NUMBER),
        .paused = db_int(rows, i, PUSH_LIST_PAUSED) != 0,
        .failures = db_int(rows, i, PUSH_LIST_FAILURES),
        .failing_since_ms = db_int(rows, i, PUSH_LIST_FAILING_SINCE_MS),
        .status = db_int(rows, i, PUSH_LIST_STATUS),
        .error = db_str(rows, i, PUSH_LIST_ERROR),
        .sent_ms = db_int(rows, i, PUSH_LIST_SENT_MS),
        .sent_rows = db_int(rows, i, PUSH_LIST_SENT_ROWS),
        .created_ms = db_int(rows, i, PUSH_LIST_CREATED_MS),
        .aside_rows = db_int(rows, i, PUSH_LIST_ASIDE_ROWS),
    };
}

static enum err read_lag(struct db *db, void *ctx, struct push *p)
{
    struct db_value args[] = {db_number(p->number), db_number(p->number)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_PUSH_LAG, args, 2, &rows);
    if (e != OK || rows->count != 1)
        return e;
    id first = db_get_id(rows, 0, PUSH_LAG_FIRST_ID);
    int64_t lag_ms = id_is_set(&first) ? db_int(rows, 0, PUSH_LAG_NOW_MS) - id_ms(&first) : 0;
    p->lag_rows = db_int(rows, 0, PUSH_LAG_N);
    p->lag_ms = lag_ms > 0 ? lag_ms : 0;
    return OK;
}

enum err push_list(struct db *db, void *ctx, struct push **list_r, size_t *n_r)
{
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_PUSH_LIST, NULL, 0, &rows);
    *n_r = e == OK ? rows->count : 0;
    *list_r = talloc_zero_array(ctx, struct push, *n_r + 1);
    for (size_t i = 0; e == OK && i < *n_r; i++) {
        (*list_r)[i] = from_row(rows, i);
        e = read_lag(db, ctx, &(*list_r)[i]);
    }
    return e;
}

/* --- changes --- */

struct changing {
    const char *name;
    enum push_change change;
};

static enum err change_push(struct db_tx *tx, const struct changing *c, const id *push)
{
    struct db_value one = db_id(push);
    struct db_value pause[] = {db_number(c->change == PUSH_PAUSE), db_text(c->name)};
    enum err e;
    switch (c->change) {
    case PUSH_PAUSE:
    case PUSH_RESUME:
        return db_run(tx->db, tx->ctx, SQL_PUSH_PAUSE, pause, 2, NULL);
    case PUSH_REMOVE:
        e = db_run(tx->db, tx->ctx, SQL_PUSH_ASIDE_CLEAR, &one, 1, NULL);
        return e == OK ? db_run(tx->db, tx->ctx, SQL_PUSH_DELETE, &one, 1, NULL) : e;
    case PUSH_RETRY:
        e = db_run(tx->db, tx->ctx, SQL_PUSH_ASIDE_AGAIN, &one, 1, NULL);
        return e == OK ? db_run(tx->db, tx->ctx, SQL_PUSH_NOW, &one, 1, NULL) : e;
    }
    return ERR_INTERNAL;
}

static enum err change_work(struct db_tx *tx, void *arg)
{
    static const char *const deeds[] = {"push.pause", "push.resume", "push.remove", "push.retry"};
    const struct changing *c = arg;
    struct db_value name = db_text(c->name);
    struct db_rows *rows;
    bool committed = false;
    enum err e = deed_find_committed(tx, deeds[c->change], NULL, c->name, &committed);
    if (e != OK || committed)
        return e;
    e = db_run(tx->db, tx->ctx, SQL_PUSH_FIND, &name, 1, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e != OK)
        return e;
    id push = db_get_id(rows, 0, PUSH_FIND_ID);
    e = change_push(tx, c, &push);
    return e == OK ? deed_record(tx, deeds[c->change], NULL, c->name, NULL) : e;
}

enum err push_do(struct db *db, const char *name, enum push_change change)
{
    struct changing c = {name, change};
    return db_transaction(db, change_work, &c);
}
