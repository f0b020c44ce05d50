/* prepare-queries SOCKET DATABASE USER: prepares every query of sql/queries on one connection. The number of each
 * result's columns is compared with the number that scripts/embed has counted. Prints how many queries were prepared;
 * the names of the others go to stderr, with the log's lines about them. Exit status 1 if a query was not prepared. */
#include <stdio.h>
#include <talloc.h>

#include "mariadb/db_private.h"

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: prepare-queries SOCKET DATABASE USER\n");
        return 2;
    }
    struct db_settings settings = {.socket = argv[1], .name = argv[2], .user = argv[3], .password = ""};
    struct db *db = db_new(NULL, &settings);
    int prepared = 0, failed = 0;
    for (int query = 0; query < SQL_COUNT && db_connect(db) == FAULT_NONE; query++) {
        if (db_prepare(db, (enum sql_id)query, 0)) {
            prepared++;
            continue;
        }
        failed++;
        fprintf(stderr, "%s\n", sql_name[query]);
    }
    printf("%d\n", prepared);
    talloc_free(db);
    return failed > 0 || prepared != SQL_COUNT;
}
