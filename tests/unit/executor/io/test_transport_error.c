#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "executor/io/transport_error.h"

static const char denial[] = "the address is not public: 10.0.0.1";

Test(transport_error, only_the_url_the_policy_and_limits_are_final)
{
    static const struct {
        struct transport_facts facts;
        const char *sentence;
        bool retry;
    } cases[] = {
        {{.code = CURLE_URL_MALFORMAT, .url_invalid = true},
         "the URL is not a valid http or https URL",
         false},
        {{.code = CURLE_UNSUPPORTED_PROTOCOL, .url_invalid = true, .redirected = true},
         "the server redirects to a URL that is not a valid http or https URL",
         false},
        {{.code = CURLE_COULDNT_CONNECT, .denial = denial}, denial, false},
        {{.code = CURLE_WRITE_ERROR, .limit_exceeded = "the response body exceeds 256 KiB"},
         "the response body exceeds 256 KiB",
         false},
        /* another address was allowed, and did not answer */
        {{.code = CURLE_RECV_ERROR, .denial = denial, .address_allowed = true, .text = "Recv failure: reset"},
         "no response: Recv failure: reset",
         true},
        {{.code = CURLE_BAD_CONTENT_ENCODING, .text = "incorrect header check", .address_allowed = true},
         "the response could not be decoded: incorrect header check",
         true},
        /* what libcurl reports of a server that speaks HTTP/0.9, SMTP or HTTP/7.1 */
        {{.code = CURLE_UNSUPPORTED_PROTOCOL,
          .text = "Received HTTP/0.9 when not allowed",
          .address_allowed = true},
         "no response: Received HTTP/0.9 when not allowed",
         true},
        {{.code = CURLE_UNSUPPORTED_PROTOCOL, .text = "", .address_allowed = true},
         "no response: Unsupported protocol",
         true},
        {{.code = CURLE_WEIRD_SERVER_REPLY, .text = "a\xff", .address_allowed = true},
         "no response: a\ufffd",
         true},
    };
    void *ctx = talloc_new(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct transport_error e = transport_error_of(ctx, &cases[i].facts);
        cr_expect_str_eq(e.sentence, cases[i].sentence);
        cr_expect_eq(e.retry, cases[i].retry, "%s", cases[i].sentence);
    }
    /* the code alone does not make a URL invalid: a server that is not HTTP has the same code */
    struct transport_facts code_only = {.code = CURLE_URL_MALFORMAT};
    cr_expect(transport_error_of(ctx, &code_only).retry);
    talloc_free(ctx);
}
