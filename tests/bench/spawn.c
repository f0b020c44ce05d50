/* bench-spawn RUNS LANES COMMAND…: runs the command RUNS times, LANES at the same time, and prints the runs
 * per second: the best that the machine can reach. Exits with 1 if a command failed. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    int runs = argc > 3 ? atoi(argv[1]) : 0, lanes = argc > 3 ? atoi(argv[2]) : 0, under_way = 0, failed = 0;
    double began_s = now_s();
    for (int started = 0; started < runs || under_way > 0;) {
        pid_t pid;
        int status;
        if (started < runs && under_way < lanes) {
            failed += posix_spawn(&pid, argv[3], NULL, NULL, argv + 3, environ) != 0;
            started++;
            under_way++;
        } else if (wait(&status) > 0) {
            failed += status != 0;
            under_way--;
        } else {
            under_way = 0;
        }
    }
    printf("%.1f\n", runs / (now_s() - began_s));
    return runs == 0 || failed ? 1 : 0;
}
