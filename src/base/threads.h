/* threads.h - plain threads (pthreads): a parallel loop, and a bounded queue. */
#ifndef TWI_BASE_THREADS_H
#define TWI_BASE_THREADS_H

#include "base/ctx.h"

/* Calls fn(worker_ctx, user, i) for every i in [0, count), on at most threads threads (0: the
 * budget of ctx), in index order of start. Stops handing out indices at the first failure and
 * returns that failure of the lowest index. threads 1 runs in the caller's thread. */
typedef tw_status (*twi_parallel_fn)(tw_ctx *ctx, void *user, size_t i);
tw_status twi_parallel(tw_ctx *ctx, size_t threads, size_t count, twi_parallel_fn fn, void *user);

/* A bounded queue of pointers between threads. push waits while full, pop while empty; both return
 * false once the queue is closed (pop: closed and empty). */
typedef struct twi_queue twi_queue;
tw_status twi_queue_new(tw_ctx *ctx, size_t capacity, twi_queue **out);
bool twi_queue_push(twi_queue *queue, void *item);
bool twi_queue_pop(twi_queue *queue, void **item);
void twi_queue_close(twi_queue *queue);
void twi_queue_free(twi_queue *queue); /* NULL is fine */

#endif
