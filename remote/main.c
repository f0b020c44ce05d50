/* millrace-cli: the command of callers. */
#include <curl/curl.h>
#include <stdio.h>
#include <talloc.h>

#include "base/log.h"
#include "remote/remote.h"

int main(int argc, char **argv)
{
    if (log_open("millrace-cli", NULL, LOG_LEVEL_WARN) != OK || curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return REMOTE_UNREACHABLE;
    struct remote r = {.ctx = talloc_new(NULL)};
    int code = remote_main(&r, argc - 1, argv + 1);
    talloc_free(r.ctx);
    curl_global_cleanup();
    if (fflush(stdout) != 0 && code == REMOTE_DONE)
        code = REMOTE_UNREACHABLE;
    return code;
}
