#include "view/workflow.h"

void view_workflow(struct json_write *w, const struct workflow *x)
{
    json_write_open(w, '{');
    json_write_id(w, "id", &x->id);
    json_write_text(w, "name", x->name);
    json_write_text(w, "description", x->description ? x->description : "");
    json_write_id(w, "created_by", &x->created_by);
    json_write_time(w, "created_at", x->created_ms, false);
    json_write_time(w, "updated_at", x->updated_ms, false);
    json_write_time(w, "last_run_at", x->last_run_ms, false);
    json_write_int(w, "version", x->version);
    if (x->program) {
        json_write_key(w, "program");
        json_write_raw(w, x->program, x->program_size);
    }
    json_write_close(w, '}');
}
