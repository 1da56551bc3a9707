/* threads.c - a parallel loop and a bounded queue, over pthreads (ThreadSanitizer does not see C11
 * threads). */
#include "base/threads.h"
#include "base/memory.h"

#include <stdatomic.h>
#include <pthread.h>

/* ---- parallel loop ------------------------------------------------------------------------- */

typedef struct loop {
    twi_parallel_fn fn;
    void *user;
    size_t count;
    atomic_size_t next;
    atomic_size_t failed_at; /* lowest index that failed; SIZE_MAX: none */
} loop;

typedef struct worker {
    loop *shared;
    tw_ctx *ctx;
    pthread_t thread;
    tw_status status;
    size_t failed_at;
} worker;

static void run(worker *w)
{
    loop *shared = w->shared;
    w->status = TW_OK;
    w->failed_at = SIZE_MAX;
    for (;;) {
        const size_t i = atomic_fetch_add(&shared->next, 1);
        if (i >= shared->count || i > atomic_load(&shared->failed_at)) return;
        const tw_status st = shared->fn(w->ctx, shared->user, i);
        if (st == TW_OK) continue;
        w->status = st;
        w->failed_at = i;
        size_t lowest = atomic_load(&shared->failed_at);
        while (i < lowest && !atomic_compare_exchange_weak(&shared->failed_at, &lowest, i))
            continue;
        return;
    }
}

static void *run_thread(void *user)
{
    run(user);
    return NULL;
}

/* Starts as many of workers[1..] as the system allows; fewer is slower, not wrong. */
static size_t start(tw_ctx *ctx, worker *workers, size_t threads, loop *shared)
{
    size_t started = 1;
    for (; started < threads; started++) {
        worker *w = &workers[started];
        w->shared = shared;
        if (twi_ctx_child(ctx, &w->ctx) != TW_OK) break;
        if (pthread_create(&w->thread, NULL, run_thread, w) != 0) {
            tw_ctx_free(w->ctx);
            break;
        }
    }
    return started;
}

tw_status twi_parallel(tw_ctx *ctx, size_t threads, size_t count, twi_parallel_fn fn, void *user)
{
    if (threads == 0) threads = twi_threads(ctx);
    if (threads > count) threads = count;
    if (count == 0) return TW_OK;
    worker *workers;
    tw_status st = twi_zalloc(ctx, threads, &workers);
    if (st != TW_OK) return st;
    loop shared = {.fn = fn, .user = user, .count = count};
    atomic_init(&shared.next, 0);
    atomic_init(&shared.failed_at, SIZE_MAX);
    const size_t started = start(ctx, workers, threads, &shared);
    workers[0].shared = &shared;
    workers[0].ctx = ctx;
    run(&workers[0]);
    size_t lowest = 0;
    for (size_t i = 1; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
        if (workers[i].failed_at < workers[lowest].failed_at) lowest = i;
    }
    st = workers[lowest].status;
    if (st != TW_OK) twi_ctx_adopt(ctx, workers[lowest].ctx, st);
    for (size_t i = 1; i < started; i++) tw_ctx_free(workers[i].ctx);
    twi_free(workers);
    return st;
}

/* ---- bounded queue ------------------------------------------------------------------------- */

struct twi_queue {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    size_t capacity, count, first;
    bool closed;
    void **items; /* [capacity], a ring */
};

tw_status twi_queue_new(tw_ctx *ctx, size_t capacity, twi_queue **out)
{
    twi_queue *queue;
    tw_status st = twi_zalloc(ctx, 1, &queue);
    if (st != TW_OK) return st;
    queue->capacity = capacity > 0 ? capacity : 1;
    if ((st = twi_zalloc(ctx, queue->capacity, &queue->items)) != TW_OK) {
        twi_free(queue);
        return st;
    }
    pthread_mutex_init(&queue->lock, NULL); /* these three cannot fail on Linux */
    pthread_cond_init(&queue->not_empty, NULL);
    pthread_cond_init(&queue->not_full, NULL);
    *out = queue;
    return TW_OK;
}

bool twi_queue_push(twi_queue *queue, void *item)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->count == queue->capacity && !queue->closed)
        pthread_cond_wait(&queue->not_full, &queue->lock);
    const bool open = !queue->closed;
    if (open) {
        queue->items[(queue->first + queue->count++) % queue->capacity] = item;
        pthread_cond_signal(&queue->not_empty);
    }
    pthread_mutex_unlock(&queue->lock);
    return open;
}

bool twi_queue_pop(twi_queue *queue, void **item)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->count == 0 && !queue->closed) pthread_cond_wait(&queue->not_empty, &queue->lock);
    const bool got = queue->count > 0;
    if (got) {
        *item = queue->items[queue->first];
        queue->first = (queue->first + 1) % queue->capacity;
        queue->count--;
        pthread_cond_signal(&queue->not_full);
    }
    pthread_mutex_unlock(&queue->lock);
    return got;
}

void twi_queue_close(twi_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->not_empty);
    pthread_cond_broadcast(&queue->not_full);
    pthread_mutex_unlock(&queue->lock);
}

void twi_queue_free(twi_queue *queue)
{
    if (!queue) return;
    pthread_mutex_destroy(&queue->lock);
    pthread_cond_destroy(&queue->not_empty);
    pthread_cond_destroy(&queue->not_full);
    twi_free(queue->items);
    twi_free(queue);
}
