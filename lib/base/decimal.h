/* Whole numbers as text, for what is written with each response: printf costs twenty times as much.
 * Thread-safe. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* A sign, 19 digits and a NUL. */
enum { DECIMAL_SIZE = 21 };

/* Writes the number as printf's %lld does, NUL-terminated, and returns its length. */
size_t decimal_text(int64_t number, char out[DECIMAL_SIZE]);
