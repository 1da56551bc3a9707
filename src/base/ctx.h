/* ctx.h - the context behind tw_ctx: threads, callbacks and the sentence of the last error.
 *
 * A tw_ctx belongs to one thread at a time. Worker threads of ours get a context of their own from
 * twi_ctx_child(); the one who joins them copies the first failure back with twi_ctx_adopt(). */
#ifndef TWI_BASE_CTX_H
#define TWI_BASE_CTX_H

#include "topwork/topwork.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define TWI_LEN(array) (sizeof(array) / sizeof((array)[0]))

#if defined(__GNUC__)
#define TWI_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#else
#define TWI_PRINTF(format_at, args_at)
#endif

/* Records the sentence for tw_last_error() and returns status, so that a failure is one line:
 *     return twi_fail(ctx, TW_ERR_FORMAT, "%s: found %zu, need %zu", name, found, need);
 * Control characters, line ends among them, are C-escaped on the way: they come from file names.
 * ctx may be NULL. */
tw_status twi_fail(tw_ctx *ctx, tw_status status, const char *format, ...) TWI_PRINTF(3, 4);

/* twi_fail() for a failed system call: appends ": " and the text of errno_value. TW_ERR_NOMEM for
 * ENOMEM, TW_ERR_IO otherwise. */
tw_status twi_fail_errno(tw_ctx *ctx, int errno_value, const char *format, ...) TWI_PRINTF(3, 4);

/* Puts a prefix before the sentence already recorded ("photo.jpg: " + "..."); returns status. */
tw_status twi_fail_prefix(tw_ctx *ctx, tw_status status, const char *format, ...) TWI_PRINTF(3, 4);

/* twi_fail() for a text of several lines, taken as it is. */
tw_status twi_fail_lines(tw_ctx *ctx, tw_status status, const char *text);

/* Sends one line to the caller's log function, if there is one. Never prints. */
void twi_log(tw_ctx *ctx, tw_log_level level, const char *format, ...) TWI_PRINTF(3, 4);

/* Tells the caller how far we are; done <= total, total 0 when unknown. Returns TW_ERR_CANCELLED
 * (with the sentence set) once the callback has asked to stop, TW_OK otherwise. Call it only from
 * the thread that owns ctx. */
tw_status twi_progress(tw_ctx *ctx, const char *stage, size_t done, size_t total, size_t failed);

/* True once a progress callback has asked to stop; safe to read from any thread. */
bool twi_cancelled(const tw_ctx *ctx);

/* The thread budget, >= 1: CPU affinity and cgroup quota unless tw_ctx_set_threads() said
 * otherwise. */
size_t twi_threads(const tw_ctx *ctx);

/* The cache that tw_ctx_set_cache() said to use; NULL: none. */
tw_cache *twi_ctx_cache(const tw_ctx *ctx);

/* A context for one worker thread: the same log function is not called from it, its cancel flag is
 * the parent's, its last error is its own. Free with tw_ctx_free(), before the parent. */
tw_status twi_ctx_child(tw_ctx *parent, tw_ctx **out);

/* Copies a child's last error into ctx and returns status. */
tw_status twi_ctx_adopt(tw_ctx *ctx, const tw_ctx *child, tw_status status);

/* Monotonic seconds from an arbitrary start, for durations only. */
double twi_seconds(void);

#endif
