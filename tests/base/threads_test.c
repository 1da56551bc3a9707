/* threads_test.c - the context (messages, callbacks, cancelling), the parallel loop, the queue. */
#include "../testing.h"

#include "base/threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

static tw_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    return tw_ctx_new(&ctx) == TW_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    tw_ctx_free(ctx);
    return 0;
}

/* ---- context --------------------------------------------------------------------------------- */

static void messages(void **state)
{
    (void)state;
    assert_string_equal(tw_last_error(ctx), "");
    assert_int_equal(twi_fail(ctx, TW_ERR_DATA, "%s: %d", "a\x1b[31m\tb\nc\\\x7f", 7), TW_ERR_DATA);
    assert_string_equal(tw_last_error(ctx), "a\\033[31m\\tb\\nc\\\\177: 7");
    assert_int_equal(twi_fail_prefix(ctx, TW_ERR_FORMAT, "photo %d: ", 3), TW_ERR_FORMAT);
    assert_string_equal(tw_last_error(ctx), "photo 3: a\\033[31m\\tb\\nc\\\\177: 7");
    assert_int_equal(twi_fail_lines(ctx, TW_ERR_NOT_FOUND, "one\n  two"), TW_ERR_NOT_FOUND);
    assert_string_equal(tw_last_error(ctx), "one\n  two");
    assert_int_equal(twi_fail_errno(ctx, ENOENT, "%s", "x"), TW_ERR_IO);
    assert_string_equal(tw_last_error(ctx), "x: No such file or directory");
    assert_int_equal(twi_fail_errno(ctx, ENOMEM, "x"), TW_ERR_NOMEM);
    assert_int_equal(twi_fail(NULL, TW_ERR_ARG, "nobody"), TW_ERR_ARG);
    assert_string_equal(tw_last_error(NULL), "");
    static char long_text[20000];
    memset(long_text, 'x', sizeof long_text - 1);
    twi_fail(ctx, TW_ERR_DATA, "%s", long_text);
    assert_true(strlen(tw_last_error(ctx)) < sizeof long_text);
    twi_fail_prefix(ctx, TW_ERR_DATA, "%s", "before: ");
    assert_memory_equal(tw_last_error(ctx), "before: xxx", 11);
}

static void status_names(void **state)
{
    (void)state;
    assert_string_equal(tw_status_name(TW_OK), "ok");
    assert_string_equal(tw_status_name(TW_ERR_NOT_FOUND), "not_found");
    for (int s = TW_OK; s <= TW_ERR_NOT_FOUND; s++)
        assert_string_not_equal(tw_status_name((tw_status)s), "unknown");
    assert_string_equal(tw_status_name((tw_status)99), "unknown");
    assert_string_equal(tw_status_name((tw_status)-1), "unknown");
}

static void log_line(void *user, tw_log_level level, const char *message)
{
    assert_int_equal(level, TW_LOG_WARNING);
    snprintf(user, 100, "%s", message);
}

static int stop_at_five(void *user, const tw_progress *progress)
{
    size_t *calls = user;
    (*calls)++;
    return progress->done >= 5;
}

static void callbacks(void **state)
{
    (void)state;
    char line[100] = "";
    size_t calls = 0;
    twi_log(ctx, TW_LOG_INFO, "nobody listens");
    tw_ctx_set_log(ctx, log_line, line);
    twi_log(ctx, TW_LOG_WARNING, "%d of %d", 3, 4);
    assert_string_equal(line, "3 of 4");
    assert_int_equal(twi_progress(ctx, "fit", 5, 5, 0), TW_OK);
    tw_ctx_set_progress(ctx, stop_at_five, &calls);
    assert_int_equal(twi_progress(ctx, "fit", 0, 5, 0), TW_OK);
    for (size_t i = 0; i < 1000; i++) assert_int_equal(twi_progress(ctx, "fit", 1, 5, 0), TW_OK);
    assert_true(calls < 100); /* a few times a second at most */
    tw_ctx *child;
    assert_int_equal(twi_ctx_child(ctx, &child), TW_OK);
    assert_false(twi_cancelled(child));
    assert_int_equal(twi_progress(ctx, "fit", 5, 5, 0),
                     TW_ERR_CANCELLED); /* the end is always told */
    assert_true(twi_cancelled(ctx) && twi_cancelled(child));
    assert_int_equal(twi_progress(ctx, "fit", 1, 5, 0), TW_ERR_CANCELLED);
    tw_ctx_free(child);
    tw_ctx_set_progress(ctx, NULL, NULL);
    assert_int_equal(twi_progress(ctx, "fit", 1, 5, 0), TW_OK);
}

static void thread_budget(void **state)
{
    (void)state;
    assert_true(twi_threads(ctx) >= 1);
    tw_ctx_set_threads(ctx, 7);
    tw_ctx *child;
    assert_int_equal(twi_ctx_child(ctx, &child), TW_OK);
    assert_int_equal(twi_threads(child), 7);
    assert_int_equal(twi_fail(child, TW_ERR_IO, "from below"), TW_ERR_IO);
    assert_string_equal(tw_last_error(ctx), "");
    assert_int_equal(twi_ctx_adopt(ctx, child, TW_ERR_IO), TW_ERR_IO);
    assert_string_equal(tw_last_error(ctx), "from below");
    tw_ctx_free(child);
    tw_ctx_set_threads(ctx, 0);
    assert_true(twi_threads(ctx) >= 1);
    const double before = twi_seconds();
    assert_true(twi_seconds() >= before);
}

/* ---- parallel loop --------------------------------------------------------------------------- */

typedef struct counts {
    atomic_int seen[1000];
    size_t fails_from;
} counts;

static tw_status count_one(tw_ctx *worker, void *user, size_t i)
{
    counts *c = user;
    atomic_fetch_add(&c->seen[i], 1);
    if (i >= c->fails_from) return twi_fail(worker, TW_ERR_DATA, "index %zu", i);
    return TW_OK;
}

static void every_index_once(void **state)
{
    (void)state;
    for (size_t threads = 0; threads <= 9; threads += 3) {
        static counts c;
        memset(&c, 0, sizeof c);
        c.fails_from = SIZE_MAX;
        assert_int_equal(twi_parallel(ctx, threads, 1000, count_one, &c), TW_OK);
        for (size_t i = 0; i < 1000; i++) assert_int_equal(atomic_load(&c.seen[i]), 1);
    }
    assert_int_equal(twi_parallel(ctx, 4, 0, count_one, NULL), TW_OK);
}

static void lowest_failure_wins(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= 8; threads++) {
        static counts c;
        memset(&c, 0, sizeof c);
        c.fails_from = 100;
        assert_int_equal(twi_parallel(ctx, threads, 1000, count_one, &c), TW_ERR_DATA);
        assert_string_equal(tw_last_error(ctx), "index 100");
        for (size_t i = 0; i < 100; i++) assert_int_equal(atomic_load(&c.seen[i]), 1);
        assert_int_equal(atomic_load(&c.seen[999]), 0);
    }
}

/* ---- queue ----------------------------------------------------------------------------------- */

static void *produce(void *user)
{
    static int items[500];
    for (int i = 0; i < 500; i++) {
        items[i] = i;
        if (!twi_queue_push(user, &items[i])) return NULL;
    }
    twi_queue_close(user);
    return NULL;
}

static void queue_keeps_order(void **state)
{
    (void)state;
    twi_queue *queue;
    pthread_t thread;
    void *item;
    assert_int_equal(twi_queue_new(ctx, 3, &queue), TW_OK);
    assert_int_equal(pthread_create(&thread, NULL, produce, queue), 0);
    int next = 0;
    while (twi_queue_pop(queue, &item)) assert_int_equal(*(int *)item, next++);
    assert_int_equal(next, 500);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(twi_queue_push(queue, item));
    twi_queue_free(queue);
    twi_queue_free(NULL);
}

static void closing_wakes_the_pusher(void **state)
{
    (void)state;
    twi_queue *queue;
    pthread_t thread;
    void *item;
    assert_int_equal(twi_queue_new(ctx, 2, &queue), TW_OK);
    assert_int_equal(pthread_create(&thread, NULL, produce, queue), 0);
    assert_true(twi_queue_pop(queue, &item));
    twi_queue_close(queue);
    assert_int_equal(pthread_join(thread, NULL), 0); /* it does not wait for room any more */
    while (twi_queue_pop(queue, &item)) continue;
    twi_queue_free(queue);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {EACH(messages),          EACH(status_names),
                                       EACH(callbacks),         EACH(thread_budget),
                                       EACH(every_index_once),  EACH(lowest_failure_wins),
                                       EACH(queue_keeps_order), EACH(closing_wakes_the_pusher)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
