#include "executor/io/transport_error.h"

#include <string.h>
#include <talloc.h>

#include "base/utf8.h"

/* libcurl quotes what the server sent. */
static const char *clean_text(void *ctx, const char *text)
{
    size_t size = strlen(text);
    char *clean = talloc_array(ctx, char, 3 * size + 1);
    clean[utf8_sanitize(clean, text, size, false)] = '\0';
    return clean;
}

struct transport_error transport_error_of(void *ctx, const struct transport_facts *facts)
{
    if (facts->limit_exceeded)
        return (struct transport_error){.sentence = facts->limit_exceeded};
    if (facts->url_invalid)
        return (struct transport_error){
            .sentence = facts->redirected
                            ? "the server redirects to a URL that is not a valid http or https URL"
                            : "the URL is not a valid http or https URL"};
    if (facts->denial && !facts->address_allowed)
        return (struct transport_error){.sentence = talloc_strdup(ctx, facts->denial)};
    const char *text = facts->text && *facts->text ? facts->text : curl_easy_strerror(facts->code);
    const char *what =
        facts->code == CURLE_BAD_CONTENT_ENCODING ? "the response could not be decoded" : "no response";
    return (struct transport_error){.sentence = talloc_asprintf(ctx, "%s: %s", what, clean_text(ctx, text)),
                                    .retry = true};
}
