/* The runner's reports: one JSON object a line on its standard output. While the command runs, sending never
 * blocks: if the reader is slow and the pipe is full, a log or progress record is dropped (the complete log
 * is in a file), so that limits are enforced whatever the reader does. The last record is sent blocking,
 * after all processes of the run have ended. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

/* Sets the output descriptor and makes it non-blocking. Call it once, before anything is sent. */
void runner_report_open(int fd);
/* Sends a record and releases it. Returns false if it was dropped. */
bool runner_report_send(json_object *record);
/* As runner_report_send, but blocks until the reader has taken it: for the records after the end of all
 * processes. Returns false if the reader is gone. */
bool runner_report_send_last(json_object *record);

/* Returns a new record {"type": type}, which the caller owns. */
json_object *runner_report_new(const char *type);
/* Returns a new JSON string. Invalid UTF-8 and NUL are replaced by U+FFFD. */
json_object *runner_report_text(const char *bytes, size_t size);
