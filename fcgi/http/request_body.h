/* The body of a request as what its headers say it is. */
#pragma once

#include "fcgi/http/request.h"

/* Whether the Content-Type is `name`, with any parameters. */
bool request_media_type_is(const struct request *r, const char *name);
/* False if the body has a Content-Encoding other than identity (415). */
bool request_body_is_plain(struct request *r) WARN_UNUSED;
/* False if the Content-Type names a charset other than UTF-8 (415). */
bool request_charset_is_utf8(struct request *r) WARN_UNUSED;
/* False (415) if the Content-Type is not JSON, or names another charset; see request_json. */
bool request_body_is_json(struct request *r) WARN_UNUSED;
/* The body as a JSON object, allocated from the request; NULL if there is no body. False if the body is
 * anything else, or if its Content-Type is neither application/json nor, with a key header, curl's default
 * application/x-www-form-urlencoded, or names a charset other than UTF-8. */
bool request_json(struct request *r, json_object **object_r) WARN_UNUSED;
/* Parses a body that is not empty as a JSON object, without a check of its Content-Type. */
bool request_object(struct request *r, json_object **object_r) WARN_UNUSED;
/* Waits for the request's turn (slow.h) if it has a body of more than SLOW_JSON_BYTES and at most `max`,
 * before that is read: nginx passes it on in many pieces, and the worker waits for each. False: the turn did
 * not come, and the reply is set; nginx stops sending when it has that. */
bool request_body_has_turn(struct request *r, size_t max) WARN_UNUSED;
