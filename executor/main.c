/* millrace-executor: claims queued runs and executes them. executor/process/master.h describes the signals.
 */
#include "executor/process/master.h"
#include "service/main_init.h"

static const char *executor_log_file(const struct config *config)
{
    return config->executor.log_file;
}

static int run_executor(void *ctx, const char *config_path, struct config *config)
{
    return master_run(ctx, config);
}

int main(int argc, char **argv)
{
    static const struct main_program program = {.name = "millrace-executor",
                                                .log_name = "executor",
                                                .summary = "Claims queued runs and executes them.",
                                                .log_file = executor_log_file,
                                                .run = run_executor};
    return main_init(&program, argc, argv);
}
