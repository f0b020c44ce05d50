/* millrace-api: the API behind nginx. fcgi/server/pool.h describes the signals. */
#include "fcgi/server/pool.h"
#include "service/main_init.h"

static const char *api_log_file(const struct config *config)
{
    return config->api.log_file;
}

int main(int argc, char **argv)
{
    static const struct main_program program = {.name = "millrace-api",
                                                .log_name = "api",
                                                .summary = "Serves the Millrace API to nginx over FastCGI.",
                                                .log_file = api_log_file,
                                                .run = pool_run};
    return main_init(&program, argc, argv);
}
