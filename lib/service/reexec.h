/* Replaces the program of a running daemon by the one that an upgrade has put at its path. The process stays,
 * and with it its id, its children and, by unix_listener_pass, its listening sockets: no connection is
 * refused meanwhile.
 *
 * Not thread-safe: called by the first thread, when no other one runs. */
#pragma once

#include <stdbool.h>

/* Notes which file runs. Called at the start of main(), before somebody replaces the file. */
void reexec_note(void);

/* True if the path of this program names another file now. */
bool reexec_is_due(void);

/* True if the program at the path can be started and accepts the settings: it is run with --check, and
 * awaited. Otherwise the reason is logged. */
bool reexec_is_ready(const char *config_path);

/* Starts the program at the path in this process, with `--config config_path`. Signals that were blocked stay
 * blocked, so that none is lost. Returns only if that fails (logged). */
void reexec_run(const char *config_path);
