#include "view/workflow.h"

#include <string.h>

void view_workflow(struct json_write *w, const struct workflow *workflow)
{
    json_write_open(w, '{');
    json_write_id(w, "id", &workflow->id);
    json_write_text(w, "name", workflow->name);
    json_write_text(w, "description", workflow->description ? workflow->description : "");
    json_write_id(w, "created_by", &workflow->created_by);
    json_write_time(w, "created_at", workflow->created_ms, false);
    json_write_time(w, "updated_at", workflow->updated_ms, false);
    json_write_time(w, "last_run_at", workflow->last_run_ms, false);
    json_write_int(w, "version", workflow->version);
    json_write_flag(w, "expose", workflow->tool != NULL);
    json_write_text(w, "tool", workflow->tool);
    if (workflow->program) {
        json_write_key(w, "program");
        json_write_raw(w, workflow->program, workflow->program_size);
    }
    if (workflow->warnings_n > 0) {
        json_write_key(w, "warnings");
        json_write_open(w, '[');
        for (size_t i = 0; i < workflow->warnings_n; i++)
            json_write_bytes(w, workflow->warnings[i], strlen(workflow->warnings[i]));
        json_write_close(w, ']');
    }
    json_write_close(w, '}');
}
