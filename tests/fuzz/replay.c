/* replay FOLDER: runs a fuzz target once for each file of a folder, so that the ordinary tests replay the
 * corpora. A crash or a report of a sanitizer ends the program; otherwise it prints the number of inputs. */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat st;
    if (!file || fstat(fileno(file), &st) != 0) {
        fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
        if (file)
            fclose(file);
        return -1;
    }
    size_t size = (size_t)st.st_size;
    /* exactly as large as the input, so that ASan detects an overrun by one byte */
    uint8_t *data = malloc(size ? size : 1);
    bool whole = data && fread(data, 1, size, file) == size;
    fclose(file);
    if (whole)
        LLVMFuzzerTestOneInput(data, size);
    free(data);
    return whole ? 0 : -1;
}

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (!dir) {
        fprintf(stderr, "usage: replay FOLDER\n");
        return 2;
    }
    int passed = 0;
    int failed = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        if (replay_file(path) == 0)
            passed++;
        else
            failed++;
    }
    closedir(dir);
    const char *slash = strrchr(argv[1], '/');
    printf("replay %s: %d passed, %d failed\n", slash ? slash + 1 : argv[1], passed, failed);
    return failed > 0 || passed == 0;
}
