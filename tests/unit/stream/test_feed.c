/* What is new in a feed, on its way to the subscribers. The database thread is replaced. */
#include <criterion/criterion.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "replaced_db_thread.h"
#include "stream/feed.h"

/* more than one slice has; the first id that the feed gives after they came */
enum { MANY = 40, SLICE = 16, NEWEST = 6 };
enum { EVERY_STATE = 1 << STATE_SUCCEEDED | 1 << STATE_FAILED | 1 << STATE_STOPPED };

struct reader {
    struct feed_subscriber feed; /* first */
    int got, begun;
    /* the last frames */
    char text[256];
};

static struct event_base *base;
static struct feeds *feeds;
static const id workspace = {"0190a5d4-7c3a-7000-8000-000000000001"};
static const id other = {"0190a5d4-7c3a-7000-8000-000000000002"};

static void count_begin(struct feed_subscriber *s)
{
    ((struct reader *)s)->begun++;
}

static void count_page(struct feed_subscriber *s, const struct shared_text *page)
{
    struct gzip_stream off = {0};
    struct evbuffer *out = evbuffer_new();
    shared_text_send(page, out, &off);
    cr_expect_eq(evbuffer_get_length(out), 9);
    cr_expect_eq(memcmp(evbuffer_pullup(out, -1), "4\r\nnews\r\n", 9), 0);
    evbuffer_free(out);
    ((struct reader *)s)->got++;
}

static void keep_frames(struct feed_subscriber *s, const char *frames, size_t size)
{
    struct reader *reader = (struct reader *)s;
    snprintf(reader->text, sizeof reader->text, "%.*s", (int)size, frames);
    reader->got++;
}

static size_t nothing_unsent(struct feed_subscriber *s)
{
    return 0;
}

static void leave_on_revoked(struct feed_subscriber *s)
{
    feeds_remove(s);
}

static void set_up(void)
{
    base = event_base_new();
    feeds = feeds_new(NULL, base, NULL, 1000);
}

static void tear_down(void)
{
    talloc_free(feeds);
    event_base_free(base);
}

TestSuite(feed, .init = set_up, .fini = tear_down);

static void add_request(const struct internal_request *request, struct reader *readers, size_t n)
{
    static const struct feed_subscriber_callbacks callbacks = {count_begin, count_page, keep_frames,
                                                               nothing_unsent, leave_on_revoked};
    for (size_t i = 0; i < n; i++) {
        readers[i] = (struct reader){.feed = {.callbacks = &callbacks, .tag = ""}};
        feeds_add(feeds, request, &readers[i].feed);
    }
}

static void add_readers_of(const id *of, bool summary, struct reader *readers, size_t n)
{
    const struct internal_request request = {
        .workspace = *of, .summary = summary, .feed_after = NEWEST - 1, .states = EVERY_STATE};
    add_request(&request, readers, n);
}

static void add_beginner(struct reader *reader)
{
    add_request(
        &(struct internal_request){
            .workspace = workspace, .feed_after = 1, .begin = true, .states = EVERY_STATE},
        reader, 1);
}

static void add_readers(const id *of, struct reader *readers, size_t n)
{
    add_readers_of(of, false, readers, n);
}

static void remove_readers(struct reader *readers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        feeds_remove(&readers[i].feed);
}

static int total(const struct reader *readers, size_t n)
{
    int sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += readers[i].got;
    return sum;
}

/* The job that reads what is new. */
static struct stream_db_job *await_poll(const id *of)
{
    struct stream_db_job *job;
    while (!(job = first_submitted(STREAM_DB_FEED_NEWS, of)))
        event_base_loop(base, EVLOOP_ONCE);
    return job;
}

/* The workspace's readers have all that the feed had when they came. The result is the next poll. */
static struct stream_db_job *await_live(const id *of, const struct reader *readers, size_t n)
{
    struct stream_db_job *job = await_poll(of);
    job->feed_until = NEWEST - 1;
    finish_submitted(job, OK);
    job = await_poll(of);
    for (size_t i = 0; i < n; i++)
        cr_assert(readers[i].feed.is_live);
    return job;
}

static void finish_with(struct stream_db_job *job, int64_t number, enum run_state state)
{
    job->feed_n = 1;
    job->feed_rows = talloc_zero(job, struct feed_row);
    job->feed_rows[0] = (struct feed_row){.id = number, .state = state};
    job->feed_ends = talloc_zero_array(job, size_t, 2);
    job->feed_ends[1] = 4;
    job->frames = talloc_strdup(job, "news");
    job->feed_page = shared_text_new(job, "news", 4, job->feed_packs);
    finish_submitted(job, OK);
}

static void finish_with_news(struct stream_db_job *job)
{
    finish_with(job, NEWEST, STATE_SUCCEEDED);
}

static void await_total(const struct reader *readers, size_t n, int want)
{
    while (total(readers, n) < want)
        event_base_loop(base, EVLOOP_ONCE);
}

/* The job with the news is freed before on_done returns. */
Test(feed, sends_news_to_few_subscribers_at_once)
{
    struct reader readers[SLICE];
    add_readers(&workspace, readers, SLICE);
    finish_with_news(await_live(&workspace, readers, SLICE));
    for (size_t i = 0; i < SLICE; i++)
        cr_expect_eq(readers[i].got, 1);
    remove_readers(readers, SLICE);
}

Test(feed, sends_news_once_to_each_subscriber_although_the_next_one_leaves)
{
    struct reader readers[MANY], late;
    add_readers(&workspace, readers, MANY);
    finish_with_news(await_live(&workspace, readers, MANY));
    cr_expect_eq(total(readers, MANY), SLICE);
    const size_t next = MANY - SLICE - 1; /* they are in the list from the last to the first */
    cr_assert_eq(readers[next].got, 0);
    feeds_remove(&readers[next].feed);
    add_readers(&workspace, &late, 1);
    await_total(readers, MANY, MANY - 1);
    (void)await_poll(&workspace);
    for (size_t i = 0; i < MANY; i++)
        cr_expect_eq(readers[i].got, i != next);
    cr_expect_eq(late.got, 0, "it reads a page of its own");
    cr_expect_not_null(first_submitted(STREAM_DB_FEED_PAGE, &workspace));
    remove_readers(&late, 1);
    remove_readers(readers, MANY);
}

Test(feed, ends_with_its_last_subscriber_between_two_slices)
{
    struct reader readers[MANY], others[1];
    add_readers(&workspace, readers, MANY);
    finish_with_news(await_live(&workspace, readers, MANY));
    remove_readers(readers, MANY);
    add_readers(&other, others, 1);
    finish_with_news(await_live(&other, others, 1));
    cr_expect_eq(total(readers, MANY), SLICE);
    cr_expect_eq(others[0].got, 1);
    remove_readers(others, 1);
}

Test(feed, sends_its_slices_at_their_time_whatever_comes_in_other_feeds)
{
    struct reader readers[MANY], others[1];
    add_readers(&workspace, readers, MANY);
    add_readers(&other, others, 1);
    struct stream_db_job *news = await_live(&workspace, readers, MANY);
    struct stream_db_job *others_news = await_live(&other, others, 1);
    finish_with_news(news);
    cr_expect_eq(total(readers, MANY), SLICE);
    finish_with_news(others_news);
    cr_expect_eq(others[0].got, 1);
    cr_expect_eq(total(readers, MANY), SLICE);
    await_total(readers, MANY, MANY);
    remove_readers(readers, MANY);
    remove_readers(others, 1);
}

/* What came within a second after a summary is in the next one, and no id tells the client to skip it. */
Test(feed, sums_up_what_ends_within_a_second)
{
    struct reader reader, other_reader;
    char *position = talloc_strdup(NULL, "");
    add_readers_of(&workspace, true, &reader, 1);
    add_readers(&workspace, &other_reader, 1);
    finish_with_news(await_live(&workspace, &reader, 1));
    cr_expect_str_eq(
        reader.text,
        "id: 6\nevent: feed.summary\n"
        "data: {\"type\":\"feed.summary\",\"ended\":{\"succeeded\":1,\"failed\":0,\"stopped\":0}}\n\n");
    reader.feed.summed_ms = clock_boot_ms() + 3600000; /* however slow the test is */
    finish_with(await_poll(&workspace), NEWEST + 1, STATE_FAILED);
    finish_with(await_poll(&workspace), NEWEST + 2, STATE_SUCCEEDED);
    cr_expect_eq(other_reader.got, 3);
    cr_expect_eq(reader.got, 1);
    feeds_append_position(&position, &reader.feed);
    cr_expect_str_eq(position, "");
    int64_t told_ms = reader.feed.summed_ms = clock_boot_ms();
    await_total(&reader, 1, 2);
    cr_expect_geq(clock_boot_ms() - told_ms, 1000);
    cr_expect_str_eq(
        reader.text,
        "id: 8\nevent: feed.summary\n"
        "data: {\"type\":\"feed.summary\",\"ended\":{\"succeeded\":1,\"failed\":1,\"stopped\":0}}\n\n");
    feeds_append_position(&position, &reader.feed);
    cr_expect_str_eq(position, "");
    remove_readers(&reader, 1);
    remove_readers(&other_reader, 1);
    talloc_free(position);
}

Test(feed, counts_only_ends_that_match_and_tells_how_far_it_has_read)
{
    struct reader reader;
    char *position = talloc_strdup(NULL, "");
    add_readers_of(&workspace, true, &reader, 1);
    reader.feed.states = 1 << STATE_FAILED;
    finish_with_news(await_live(&workspace, &reader, 1));
    cr_expect_eq(reader.got, 0);
    feeds_append_position(&position, &reader.feed);
    cr_expect_str_eq(position, "id: 6\n\n");
    remove_readers(&reader, 1);
    talloc_free(position);
}

static void finish_without_rows(struct stream_db_job *job, int64_t last, int64_t begin)
{
    job->feed_until = last;
    job->feed_begin = begin;
    job->feed_more = begin < 0;
    finish_submitted(job, OK);
}

Test(feed, begins_when_all_that_has_ended_has_an_id)
{
    struct reader reader;
    add_beginner(&reader);
    struct stream_db_job *job = await_poll(&workspace);
    cr_expect(job->feed_begins);
    finish_without_rows(job, NEWEST + 1000, -1);
    job = await_poll(&workspace);
    cr_expect_eq(reader.begun, 0);
    cr_expect_not(reader.feed.is_live);
    cr_expect_lt(job->feed_after, 0, "nobody gets its rows");
    finish_without_rows(job, NEWEST + 1100, NEWEST + 1100);
    cr_expect_eq(reader.begun, 1);
    job = await_poll(&workspace);
    cr_expect_not(job->feed_begins);
    cr_expect_eq(job->feed_after, NEWEST + 1100);
    finish_with(job, NEWEST + 1101, STATE_SUCCEEDED);
    cr_expect_eq(reader.got, 1);
    cr_expect_null(first_submitted(STREAM_DB_FEED_PAGE, &workspace));
    remove_readers(&reader, 1);
}

Test(feed, does_not_begin_with_a_reading_that_was_begun_before)
{
    struct reader first, second;
    add_beginner(&first);
    struct stream_db_job *job = await_poll(&workspace);
    add_beginner(&second);
    finish_without_rows(job, NEWEST, NEWEST);
    cr_expect_eq(first.begun, 1);
    cr_expect_eq(second.begun, 0);
    job = await_poll(&workspace);
    cr_expect(job->feed_begins);
    finish_without_rows(job, NEWEST, NEWEST);
    cr_expect_eq(second.begun, 1);
    cr_expect_eq(first.begun, 1);
    remove_readers(&first, 1);
    remove_readers(&second, 1);
}

/* It went live while a reading without rows was in flight: what that one passed over is read in a page. */
Test(feed, passes_nothing_over_that_was_not_read)
{
    struct reader reader;
    add_readers(&workspace, &reader, 1);
    finish_without_rows(await_poll(&workspace), NEWEST - 1, NEWEST - 1);
    struct stream_db_job *job = await_poll(&workspace);
    cr_assert(reader.feed.is_live);
    job->feed_after = -1; /* as if it had not been when the reading was begun */
    finish_without_rows(job, NEWEST, NEWEST);
    cr_expect_not(reader.feed.is_live);
    job = await_poll(&workspace);
    const struct stream_db_job *page = first_submitted(STREAM_DB_FEED_PAGE, &workspace);
    cr_assert_not_null(page);
    cr_expect_eq(page->feed_after, NEWEST - 1);
    cr_expect_eq(page->feed_until, NEWEST);
    remove_readers(&reader, 1);
}

/* If only summaries are wanted, no rows are formatted. A stream that connects during such a reading reads its
 * own page. */
Test(feed, sends_no_rows_that_were_not_formatted)
{
    struct reader counts, late;
    add_readers_of(&workspace, true, &counts, 1);
    struct stream_db_job *job = await_live(&workspace, &counts, 1);
    cr_expect_not(job->feed_formats);
    add_readers(&workspace, &late, 1);
    late.feed.is_live = true; /* as the tick that comes before the end of the reading would find it */
    finish_with(job, NEWEST, STATE_SUCCEEDED);
    cr_expect_eq(counts.got, 1);
    cr_expect_eq(late.got, 0);
    job = await_poll(&workspace);
    cr_expect(job->feed_formats);
    const struct stream_db_job *page = first_submitted(STREAM_DB_FEED_PAGE, &workspace);
    cr_assert_not_null(page);
    cr_expect(page->feed_formats);
    cr_expect_eq(page->feed_until, NEWEST);
    remove_readers(&counts, 1);
    remove_readers(&late, 1);
}
