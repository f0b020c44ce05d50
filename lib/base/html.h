/* HTML: texts of others inside it. */
#pragma once

#include "base/text_buffer.h"

/* Appends a text so that it is shown as it is, in an element or inside the quotes of an attribute. */
void html_append_text(void *ctx, struct text_buffer *b, const char *text);
