#include "run/price.h"

#include "account/credits.h"
#include "spending/price_list.h"
#include "json/json.h"

int64_t run_price(const struct run_request *req, int64_t account_price)
{
    int64_t price = req->price >= 0 ? req->price : account_price >= 0 ? account_price : CREDIT_MICRO;
    return price > req->credits_asked ? price : req->credits_asked;
}

int64_t run_fixed_price(const struct run_request *req, int64_t account_price, const struct price_list *list)
{
    const struct run_request listed = {.price = list && list->fixed >= 0 ? list->fixed : req->price,
                                       .credits_asked = req->credits_asked};
    return run_price(&listed, account_price);
}

int64_t run_listed_price(const struct run_request *req, int64_t account_price, const struct price_list *list)
{
    int64_t price = run_fixed_price(req, account_price, list);
    if (list && __builtin_add_overflow(price, price_held(list->units), &price))
        return INT64_MAX;
    return price;
}

/* It is in the JSON that only skills have (lib/skill/extra.h). */
enum err run_model_of(void *ctx, const struct run_request *req, const char **model_r)
{
    enum { EXTRA_DEPTH = 4 };
    json_object *extra;
    const char *why;
    *model_r = NULL;
    if (req->kind != KIND_SKILL || !req->extra.at)
        return OK;
    if (json_parse_tolerant(ctx, req->extra.at, req->extra.size, EXTRA_DEPTH, &extra, &why) != OK)
        return ERR_INTERNAL; /* the caller has made it */
    *model_r = json_get_text(extra, "model");
    return OK;
}
