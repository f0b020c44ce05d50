/* The process that starts runners for executors (millrace-runner --listen). Its unit has a control group of
 * the processor beside that of all services, and so have the commands of skills, whatever they compute. */
#pragma once

/* Starts this program again for each request (service/spawn.h) that arrives at the Unix socket `path`, with
 * the arguments and descriptors of the request. The socket belongs to the user of this process, who alone may
 * connect: he may start anything as himself anyway. The runners survive the end of this process, because
 * their lifelines are the executors'; it waits for none of them, unless it is process 1 of a container, whose
 * end would end them. Returns an exit status, after SIGTERM or SIGINT or if it cannot listen. */
int runner_listen(const char *path);
