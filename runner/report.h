/* What the runner says: one JSON object a line on its standard output.
 * While the command runs nothing here ever blocks: with the reader slow and the pipe full, a log or progress
 * record is dropped (the log itself is in a file), so that limits are enforced whatever the reader does. The
 * last record is written blocking, when the command's tree is dead. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

/* Makes the pipe non-blocking; call once before anything is said. */
void runner_report_open(int fd);
/* Takes `record`. Returns false when it was dropped. */
bool runner_report_send(json_object *record);
/* The same, waiting for the reader: for the last record. */
bool runner_report_send_last(json_object *record);

/* {"type": type} */
json_object *runner_report_new(const char *type);
/* Bytes as a JSON string: what is no valid UTF-8, and NUL, becomes U+FFFD. */
json_object *runner_report_text(const char *bytes, size_t size);
