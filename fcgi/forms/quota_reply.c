#include "fcgi/forms/quota_reply.h"

#include "fcgi/http/reply.h"

int quota_reply(struct request *r, const struct quota_excess *excess)
{
    return reply_problem(r, 403, "quota_exceeded", "The workspace has reached its quota \"%s\": %lld.",
                         excess->name ? excess->name : quota_name(excess->quota), (long long)excess->limit);
}
