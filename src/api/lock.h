/* lock.h - one process at a time: a file that is locked while something is being done. */
#ifndef TWI_API_LOCK_H
#define TWI_API_LOCK_H

#include "base/ctx.h"

typedef struct twi_lock {
    int fd;     /* -1: not held */
    char *path; /* NULL: not held */
} twi_lock;

/* Makes path and waits for whoever holds it, telling twi_progress() of "wait". The lock goes with
 * the process, however it ends. */
tw_status twi_lock_take(tw_ctx *ctx, const char *path, twi_lock *out);
/* The same without waiting: out->fd is -1 when another process holds it. */
tw_status twi_lock_try(tw_ctx *ctx, const char *path, twi_lock *out);
void twi_lock_release(twi_lock *lock); /* removes path; not held is fine */

#endif
