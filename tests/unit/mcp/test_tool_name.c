#include <criterion/criterion.h>
#include <string.h>

#include "mcp/tool_name.h"

static const id workflow = {"0190a5d4-7c3a-7000-8000-0123456789ab"};

Test(tool_name, is_made_of_the_workflows_name)
{
    static const char *const pairs[][2] = {
        {"Weather letter", "weather_letter"},
        {"  A--B  c! ", "a_b_c"},
        {"Summary", "run_summary"},
        {"get execution", "run_get_execution"},
        {"Stop_Execution", "run_stop_execution"},
        {"\xc3\x9c"
         "berweisung 2",
         "berweisung_2"},
        {"\xe6\x97\xa5\xe6\x9c\xac", "run_0123456789ab"},
        {"___", "run_0123456789ab"},
    };
    char name[MCP_TOOL_NAME_MAX + 1];
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        mcp_tool_name(pairs[i][0], strlen(pairs[i][0]), &workflow, name);
        cr_assert_str_eq(name, pairs[i][1]);
    }
}

Test(tool_name, fits_for_every_name)
{
    char text[300], name[MCP_TOOL_NAME_MAX + 1];
    for (size_t n = 0; n < sizeof text; n++) {
        for (size_t i = 0; i < n; i++)
            text[i] = "aB 9_\xff\0-"[(i * 7 + n) % 8];
        mcp_tool_name(text, n, &workflow, name);
        cr_assert(mcp_tool_name_fits(name), "%zu: %s", n, name);
        cr_assert(strchr(name, '_'), "%s", name);
        cr_assert_neq(name[strlen(name) - 1], '_');
    }
    cr_assert(!mcp_tool_name_fits(""));
    cr_assert(!mcp_tool_name_fits("a b"));
    cr_assert(!mcp_tool_name_fits("a.b"));
}
