/* Bulk jobs and their items as the API and the operator's command show them. */
#pragma once

#include "store/bulk_job.h"
#include "json/json_write.h"

void view_bulk_job(struct json_write *w, const struct bulk_job *job);
void view_bulk_item(struct json_write *w, const struct bulk_item *item);
/* What a dry run says. */
void view_bulk_preview(struct json_write *w, enum bulk_action action, const struct bulk_preview *preview);
