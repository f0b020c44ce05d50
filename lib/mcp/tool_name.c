#include "mcp/tool_name.h"

#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyz0123456789"

bool mcp_tool_name_fits(const char *name)
{
    size_t n = strspn(name, LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-");
    return n > 0 && n <= MCP_TOOL_NAME_MAX && !name[n];
}

/* Writes the words of the name, joined by underscores, at most `max` characters. */
static void write_words(const char *name, size_t size, char *out, size_t max)
{
    size_t n = 0;
    bool gap = false;
    for (size_t i = 0; i < size && n < max; i++) {
        char c = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];
        if (!c || !strchr(LETTERS, c)) {
            gap = n > 0;
            continue;
        }
        if (gap && n + 1 < max)
            out[n++] = '_';
        else if (gap)
            break;
        gap = false;
        out[n++] = c;
    }
    out[n] = '\0';
}

void mcp_tool_name(const char *name, size_t size, const id *workflow, char out[MCP_TOOL_NAME_MAX + 1])
{
    static const char prefix[] = "run_";
    enum { PREFIX = sizeof prefix - 1, ID_END = 12 };
    write_words(name, size, out, MCP_TOOL_NAME_MAX - PREFIX);
    if (!*out)
        memcpy(out, workflow->text + ID_LENGTH - ID_END, ID_END + 1);
    if (strchr(out, '_') && strcmp(out, MCP_GET_EXECUTION) != 0 && strcmp(out, MCP_STOP_EXECUTION) != 0)
        return;
    memmove(out + PREFIX, out, strlen(out) + 1);
    memcpy(out, prefix, PREFIX);
}
