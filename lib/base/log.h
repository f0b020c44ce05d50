/* Log lines of key=value pairs, one line an event:
 *
 *   2026-01-15T10:30:00.123Z info executor[812] run.claimed execution=... workspace=... attempt=1
 *
 * Each line is written with one write(2) of at most 4000 bytes (below PIPE_BUF), so that lines of several
 * processes never mix. Longer text is cut. With the setting log.format = json a line is one object of JSON
 * with the same fields, in UTF-8:
 *
 *   {"at":"2026-01-15T10:30:00.123Z","level":"info","process":"executor[812]","event":"run.claimed",
 *    "execution":"...","workspace":"...","attempt":1}
 *
 * Never pass a secret. log_line is thread-safe; log_open is not:
 * call it once, before any thread starts. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
/* The level named by the setting log.level; LOG_LEVEL_INFO for an unknown name. */
enum log_level log_level_of(const char *name);

/* What is wrong with the setting log.format, or NULL. */
const char *log_format_problem(const char *name);
/* Takes the setting log.format; lines are text until then. Call it before any thread starts. */
void log_set_format(const char *name);

/* Sets the program's name (borrowed, printed in each line), the file (appended to; NULL or "" means stderr)
 * and the lowest level that is written. ERR_INVALID if the file cannot be opened. */
enum err log_open(const char *program, const char *path, enum log_level least) WARN_UNUSED;
/* Opens the file again, after logrotate has moved it (SIGUSR1). If that fails, the old file stays in use. */
void log_reopen(void);

/* `event` is a dotted name. `fmt` holds name=value or name="value" pairs, separated by one space each, with
 * all names in `fmt` itself, so that lines of JSON have them as members: a value cannot add a member. A text
 * that is cut adds the member "cut". Control characters are written as \xNN (in JSON as \u00NN), and what is
 * not UTF-8 is U+FFFD in JSON. A failed write is ignored: there is no other place to report it. */
void log_line(enum log_level level, const char *event, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* An info line that is written at any log.level, because an operator asked for it (SIGUSR2). */
void log_requested(const char *event, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Also passes each line that is written to `copy`, always as one object of JSON (whatever log.format is),
 * without a line end. It is called by the thread that logs, in every process that was forked later too. NULL
 * ends it. Call it while no other thread logs. */
void log_set_copy(void (*copy)(void *arg, const char *line, size_t size), void *arg);

/* The number of error lines of this process so far, of all threads: an answer of 500 must have added one. */
uint64_t log_error_count(void);

#define log_debug(event, ...) log_line(LOG_LEVEL_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...) log_line(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warn(event, ...) log_line(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_line(LOG_LEVEL_ERROR, event, __VA_ARGS__)
