#include <criterion/criterion.h>

#include "maintenance/tasks.h"

enum { EVERY = 1000, NOW = 50000 };

static const struct maintenance_task task = {"task", EVERY};

Test(maintenance_task, is_due_once_its_time_has_come)
{
    cr_expect(maintenance_task_is_due(&task, 0, NOW), "a new row");
    cr_expect(maintenance_task_is_due(&task, NOW, NOW));
    cr_expect_not(maintenance_task_is_due(&task, NOW + 1, NOW));
    cr_expect_not(maintenance_task_is_due(&task, NOW + EVERY, NOW));
}

Test(maintenance_task, is_due_if_the_clock_was_set_back)
{
    cr_expect_not(maintenance_task_is_due(&task, NOW + 2 * EVERY, NOW));
    cr_expect(maintenance_task_is_due(&task, NOW + 2 * EVERY + 1, NOW));
}
