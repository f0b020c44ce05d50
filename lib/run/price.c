#include "run/price.h"

#include "account/credits.h"

int64_t run_price(const struct run_request *req, int64_t account_price)
{
    int64_t price = req->price >= 0 ? req->price : account_price >= 0 ? account_price : CREDIT_MICRO;
    return price > req->credits_asked ? price : req->credits_asked;
}
