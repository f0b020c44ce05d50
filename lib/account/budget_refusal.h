/* Why a budget did not allow a debit (lib/spending/budget.h). */
#pragma once

#include <stdint.h>

#include "base/ids.h"

struct budget_refusal {
    /* Unset: the run matches more than BUDGETS_OF_RUN_MAX budgets. */
    id budget_id;
    /* enum budget_scope and enum period_kind */
    int scope, period;
    /* Micro-credits. */
    int64_t limit, used;
    /* PERIOD_NEVER: never. */
    int64_t reset_ms;
};
