/* Gathers the facts that the checks of `millrace doctor` judge. */
#pragma once

#include "doctor/doctor.h"
#include "mariadb/db.h"
#include "redis/redis.h"

/* The program for which the quick form looks. */
enum doctor_program { DOCTOR_ALL, DOCTOR_API, DOCTOR_EXECUTOR, DOCTOR_STREAM };

/* Of this host: the paths that `program` uses, by the rights of this process; the kernel; certificates. */
void doctor_look_at_host(void *ctx, struct doctor_facts *facts, enum doctor_program program);
/* Of the servers; `db` NULL: MariaDB is unreachable. Takes at most a few seconds. */
void doctor_look_at_servers(void *ctx, struct doctor_facts *facts, struct db *db, struct redis *redis);
/* Signs in to MariaDB as the user of `program` (DOCTOR_ALL: of each one) and reads what it may do. A user who
 * cannot sign in, or whose password this process may not read, adds no fact. Takes at most a few seconds. */
void doctor_look_at_rights(void *ctx, struct doctor_facts *facts, enum doctor_program program);
/* Runs `nginx -t` if the site that `millrace setup` makes is enabled; needs root. */
void doctor_look_at_nginx(void *ctx, struct doctor_facts *facts);
