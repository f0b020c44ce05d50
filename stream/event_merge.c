#include "stream/event_merge.h"

void feed_begin(struct feed *f, int after)
{
    *f = (struct feed){.sent = after, .known = after, .fresh = true};
}

bool feed_hear(struct feed *f, int seq, bool is_last)
{
    if (f->ended || seq <= f->sent)
        return false;
    if (seq > f->known)
        f->known = seq;
    if (f->fresh || f->reading || seq != f->sent + 1)
        return false;
    f->sent = seq;
    f->ended = is_last;
    return true;
}

void feed_sight(struct feed *f, int last_seq, bool is_terminal)
{
    if (last_seq > f->known)
        f->known = last_seq;
    if (is_terminal && !f->reading && f->sent >= last_seq)
        f->ended = true;
}

bool feed_wants_read(const struct feed *f)
{
    return !f->ended && !f->reading && (f->fresh || f->known > f->sent);
}

void feed_read(struct feed *f)
{
    f->reading = true;
    f->fresh = false;
    f->asked = f->known;
}

void feed_read_failed(struct feed *f)
{
    f->reading = false;
    f->fresh = true;
}

void feed_read_done(struct feed *f, int until, int last_seq, bool is_terminal)
{
    f->reading = false;
    if (until > f->sent)
        f->sent = until;
    else if (f->known <= f->asked)
        f->known = f->sent; /* what was heard of before this read does not exist */
    if (f->known < f->sent)
        f->known = f->sent;
    if (until > 0 && last_seq > f->known)
        f->known = last_seq; /* the page was full */
    f->ended = is_terminal && f->sent >= last_seq;
}
