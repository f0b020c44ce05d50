/* The handlers, in the order of the table of routes. Each answers its request (see fcgi/routes.h). */
#pragma once

struct request;

int h_workflow_run(struct request *r);
int h_execution_get(struct request *r);
int h_health_alive(struct request *r);
int h_health_ready(struct request *r);
int h_health_metrics(struct request *r);
