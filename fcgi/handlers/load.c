#include "fcgi/handlers/load.h"

#include <stdio.h>

#include "base/clock.h"
#include "fcgi/http/app.h"
#include "store/workspace_load.h"

static enum err count(struct request *r, struct load_numbers *n_r)
{
    int64_t most = r->app->config->api.metrics_workspaces;
    const struct workspace_load_query q = {
        .by_load = true, .limit = (size_t)(most < LOAD_SAMPLE_WORKSPACES ? most : LOAD_SAMPLE_WORKSPACES)};
    struct workspace_load *list;
    size_t n = 0;
    *n_r = (struct load_numbers){0};
    enum err e = store_metrics_load(r->app->db, &n_r->load);
    if (e == OK && q.limit > 0)
        e = workspace_load_list(r->app->db, r, &q, &list, &n);
    for (size_t i = 0; e == OK && i < n; i++) {
        if (list[i].queued + list[i].running == 0)
            continue;
        snprintf(n_r->workspaces[n_r->workspaces_n].id, sizeof n_r->workspaces->id, "%s", list[i].id.text);
        n_r->workspaces[n_r->workspaces_n].queued = list[i].queued;
        n_r->workspaces[n_r->workspaces_n++].running = list[i].running;
    }
    return e;
}

static enum err count_and_keep(struct request *r, int64_t begun_ms, struct load_numbers *n_r)
{
    struct load_sample *sample = &r->app->shared->load_sample;
    enum err e = count(r, n_r);
    if (e == OK)
        load_sample_put(sample, begun_ms, clock_boot_ms(), n_r);
    else
        load_sample_give_up(sample, begun_ms);
    return e;
}

static void count_again(struct request *r)
{
    struct load_numbers numbers;
    int64_t begun_ms = clock_boot_ms();
    if (load_sample_begin(&r->app->shared->load_sample, begun_ms))
        (void)count_and_keep(r, begun_ms, &numbers);
}

enum err load_read(struct request *r, struct load_numbers *numbers_r, int64_t *age_ms_r)
{
    struct load_sample *sample = &r->app->shared->load_sample;
    int64_t begun_ms = clock_boot_ms();
    bool many;
    *age_ms_r = 0;
    enum err e = store_metrics_are_many(r->app->db, LOAD_MANY, &many);
    if (e != OK || !many)
        return e == OK ? count(r, numbers_r) : e;
    if (load_sample_get(sample, begun_ms, numbers_r, age_ms_r)) {
        r->after_reply = count_again;
        return OK;
    }
    return load_sample_begin(sample, begun_ms) ? count_and_keep(r, begun_ms, numbers_r) : count(r, numbers_r);
}
