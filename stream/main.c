/* millrace-stream: the event daemon. stream/server.h describes the signals. */
#include "service/main_init.h"
#include "stream/server.h"

static const char *stream_log_file(const struct config *config)
{
    return config->stream.log_file;
}

static int run_stream(void *ctx, const char *config_path, struct config *config)
{
    return server_run(ctx, config_path, config);
}

int main(int argc, char **argv)
{
    static const struct main_program program = {.name = "millrace-stream",
                                                .log_name = "stream",
                                                .summary =
                                                    "Sends the events of runs to nginx as event streams, and "
                                                    "answers requests that wait for a run's end.",
                                                .log_file = stream_log_file,
                                                .run = run_stream};
    return main_init(&program, argc, argv);
}
