#include "stream/event_merge.h"

void merge_init(struct event_merge *f, int after)
{
    *f = (struct event_merge){.sent = after, .known = after, .history_unread = true};
}

bool merge_on_event(struct event_merge *f, int seq, bool is_last)
{
    if (f->ended || seq <= f->sent)
        return false;
    if (seq > f->known)
        f->known = seq;
    if (f->history_unread || f->reading || seq != f->sent + 1)
        return false;
    f->sent = seq;
    f->ended = is_last;
    return true;
}

void merge_on_progress(struct event_merge *f, int last_seq, bool is_terminal)
{
    if (last_seq > f->known)
        f->known = last_seq;
    if (is_terminal && !f->reading && f->sent >= last_seq)
        f->ended = true;
}

bool merge_needs_read(const struct event_merge *f)
{
    return !f->ended && !f->reading && (f->history_unread || f->known > f->sent);
}

void merge_read_begin(struct event_merge *f)
{
    f->reading = true;
    f->history_unread = false;
    f->known_at_read = f->known;
}

void merge_read_failed(struct event_merge *f)
{
    f->reading = false;
    f->history_unread = true;
}

void merge_read_done(struct event_merge *f, int last_read, int last_seq, bool is_terminal)
{
    f->reading = false;
    if (last_read > f->sent)
        f->sent = last_read;
    else if (f->known <= f->known_at_read)
        f->known = f->sent; /* the events reported before this read do not exist */
    if (f->known < f->sent)
        f->known = f->sent;
    if (last_read > 0 && last_seq > f->known)
        f->known = last_seq; /* the page was full: more events follow */
    f->ended = is_terminal && f->sent >= last_seq;
}
