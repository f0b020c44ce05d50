/* Where URL and key come from. A key in a file that others can read is refused, as ssh refuses such a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "remote/remote.h"

enum { RETRY_S = 60, RETRY_MAX_S = 86400 };

/* inih reports an error by 0. */
static int settings_on_entry(void *arg, const char *section, const char *name, const char *value)
{
    struct remote *r = arg;
    if (*section)
        return 0;
    if (strcmp(name, "url") == 0)
        r->url = r->url ? r->url : talloc_strdup(r->ctx, value);
    else if (strcmp(name, "api_key") == 0)
        r->key = r->key ? r->key : talloc_strdup(r->ctx, value);
    else
        return 0;
    return 1;
}

static const char *default_file(struct remote *r)
{
    const char *file = getenv("MILLRACE_CLI_CONFIG"), *xdg = getenv("XDG_CONFIG_HOME"),
               *home = getenv("HOME");
    if (file && *file)
        return file;
    if (xdg && *xdg)
        return talloc_asprintf(r->ctx, "%s/millrace/cli.ini", xdg);
    return home && *home ? talloc_asprintf(r->ctx, "%s/.config/millrace/cli.ini", home) : NULL;
}

/* False after an error message. */
static bool read_settings(struct remote *r, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (!f || fstat(fd, &st) != 0) {
        remote_fail(r, REMOTE_USAGE, "cannot read %s: %s", path, strerror(errno));
        if (f)
            fclose(f);
        return false;
    }
    bool is_private =
        S_ISREG(st.st_mode) && !(st.st_mode & 077) && (st.st_uid == geteuid() || geteuid() == 0);
    int line = is_private ? ini_parse_file(f, settings_on_entry, r) : 0;
    fclose(f);
    if (!is_private)
        remote_fail(r, REMOTE_USAGE, "%s may be read by others; run: chmod 600 %s", path, path);
    else if (line != 0)
        remote_fail(r, REMOTE_USAGE, "%s: line %d is neither url = … nor api_key = …", path, line);
    return is_private && line == 0;
}

static bool parse_retry_seconds(struct remote *r)
{
    char *end;
    long seconds = r->retry_text ? strtol(r->retry_text, &end, 10) : RETRY_S;
    r->retry_ms = (int64_t)seconds * 1000;
    if (!r->retry_text || (*r->retry_text && !*end && seconds >= 0 && seconds <= RETRY_MAX_S))
        return true;
    remote_usage(r, "--retry-seconds must be an integer from 0 to %d", RETRY_MAX_S);
    return false;
}

static bool has_control_characters(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text <= ' ' || *text == 0x7f)
            return true;
    }
    return false;
}

static bool check_settings(struct remote *r)
{
    if (!r->url || !r->key)
        remote_fail(r, REMOTE_USAGE,
                    "set $MILLRACE_URL and $MILLRACE_API_KEY, or write url = … and api_key = … into "
                    "~/.config/millrace/cli.ini (mode 600)");
    else if (strncmp(r->url, "https://", 8) != 0 && strncmp(r->url, "http://", 7) != 0)
        remote_fail(r, REMOTE_USAGE, "the URL must begin with https:// or http://");
    else if (has_control_characters(r->url) || has_control_characters(r->key))
        remote_fail(r, REMOTE_USAGE, "the URL or the key contains white space or a control character");
    else
        return true;
    return false;
}

bool remote_configure(struct remote *r)
{
    const char *url = getenv("MILLRACE_URL"), *key = getenv("MILLRACE_API_KEY");
    if (!parse_retry_seconds(r))
        return false;
    if (!r->config_path) { /* a file that is named wins over the environment */
        r->url = url && *url ? url : NULL;
        r->key = key && *key ? key : NULL;
    }
    const char *path = r->config_path ? r->config_path : default_file(r);
    bool is_needed = r->config_path || !r->url || !r->key;
    if (is_needed && path && (r->config_path || access(path, F_OK) == 0) && !read_settings(r, path))
        return false;
    if (!check_settings(r))
        return false;
    size_t n = strlen(r->url);
    while (n > 0 && r->url[n - 1] == '/')
        n--;
    r->url = talloc_strndup(r->ctx, r->url, n);
    return true;
}
