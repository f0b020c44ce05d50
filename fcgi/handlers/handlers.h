/* The handlers of the routes (fcgi/server/routes.c). Each answers its request and returns the status. */
#pragma once

struct request;

int h_workflow_list(struct request *r);
int h_workflow_get(struct request *r);
int h_workflow_create(struct request *r);
int h_workflow_put(struct request *r);
int h_workflow_delete(struct request *r);
int h_workflow_run(struct request *r);
int h_workflow_run_batch(struct request *r);
int h_execution_list(struct request *r);
int h_execution_nestings(struct request *r);
int h_execution_get(struct request *r);
int h_execution_stop(struct request *r);
int h_execution_purge(struct request *r);
int h_execution_retry(struct request *r);
int h_execution_events(struct request *r);
int h_execution_ticket(struct request *r);
int h_wait_resume(struct request *r);
int h_execution_logs(struct request *r);
int h_artifact_get(struct request *r);
int h_skill_list(struct request *r);
int h_skill_get(struct request *r);
int h_skill_run(struct request *r);
int h_skill_execution_by_call(struct request *r);
int h_skill_execution_get(struct request *r);
int h_skill_execution_cancel(struct request *r);
int h_file_list(struct request *r);
int h_file_upload(struct request *r);
int h_file_get(struct request *r);
int h_file_delete(struct request *r);
int h_schedule_list(struct request *r);
int h_schedule_create(struct request *r);
int h_schedule_get(struct request *r);
int h_schedule_patch(struct request *r);
int h_schedule_delete(struct request *r);
int h_schedule_pause(struct request *r);
int h_schedule_resume(struct request *r);
int h_schedule_upcoming(struct request *r);
int h_schedule_occurrences(struct request *r);
int h_credits_get(struct request *r);
int h_credits_usage(struct request *r);
int h_credits_ledger(struct request *r);
int h_openapi(struct request *r);
int h_health_alive(struct request *r);
int h_health_ready(struct request *r);
int h_health_metrics(struct request *r);
