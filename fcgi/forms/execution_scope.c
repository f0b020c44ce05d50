#include "fcgi/forms/execution_scope.h"

#include "base/scopes.h"
#include "fcgi/http/app.h"
#include "fcgi/http/auth.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "store/execution.h"

bool require_execute_scope(struct request *r, const id *execution)
{
    uint32_t both = SCOPE_WORKFLOWS_EXECUTE | SCOPE_SKILLS_EXECUTE;
    enum responder_kind kind;
    /* with both scopes the kind does not matter, which saves the query */
    if ((r->access.scopes & both) == both)
        return true;
    enum err e = execution_kind(r->app->db, r, &r->access.workspace_id, execution, &kind);
    if (e == OK)
        return auth_require_scope(r, kind == KIND_SKILL ? SCOPE_SKILLS_EXECUTE : SCOPE_WORKFLOWS_EXECUTE);
    reply_err(r, e);
    return false;
}
