/* One line an event, `key=value`, written whole with one write(2) so that lines of several processes never
 * mix and `tail -f` reads well: 2026-01-15T10:30:00.123Z info executor[812] run.claimed execution=…
 * workspace=… attempt=1 Secrets are never passed here. Safe from any thread. */
#pragma once

#include <stdarg.h>

#include "base/err.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
/* By its word, as the settings have it; info where it is none. */
enum log_level log_level_of(const char *name);

/* `program` stands in every line; `path` NULL means stderr. The file is opened for appending and opened anew
 * by log_reopen (SIGUSR1, after logrotate). ERR_INVALID when it cannot be opened. */
enum err log_open(const char *program, const char *path, enum log_level least) WARN_UNUSED;
void log_reopen(void);

/* `event` is a dotted word; the rest is key=value text. Control characters are written as \xNN. */
void log_line(enum log_level level, const char *event, const char *fmt, ...) PRINTF_LIKE(3, 4);

#define log_debug(event, ...) log_line(LOG_LEVEL_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...) log_line(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warn(event, ...) log_line(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_line(LOG_LEVEL_ERROR, event, __VA_ARGS__)
