/* ctx.c - the context: last error, callbacks, cancel flag, thread budget. */
#include "base/ctx.h"
#include "base/memory.h"
#include "base/text.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MESSAGE_BYTES    4096
#define PROGRESS_SECONDS 0.1 /* "a few times a second at most" */

struct tw_ctx {
    char message[MESSAGE_BYTES];
    size_t threads; /* 0: ask the system */
    size_t system_threads;
    tw_progress_fn progress;
    void *progress_user;
    const char *last_stage;
    double last_progress;
    tw_log_fn log;
    void *log_user;
    tw_ctx *parent;
    tw_cache *cache;
    atomic_bool cancelled;
};

/* ---- status and messages ------------------------------------------------------------------- */

const char *tw_status_name(tw_status status)
{
    static const char *const names[] = {
        [TW_OK] = "ok",
        [TW_ERR_ARG] = "arg",
        [TW_ERR_NOMEM] = "nomem",
        [TW_ERR_IO] = "io",
        [TW_ERR_DATA] = "data",
        [TW_ERR_FORMAT] = "format",
        [TW_ERR_UNSUPPORTED] = "unsupported",
        [TW_ERR_DIVERGED] = "diverged",
        [TW_ERR_CANCELLED] = "cancelled",
        [TW_ERR_NOT_FOUND] = "not_found",
    };
    const size_t i = (size_t)status;
    return i < TWI_LEN(names) ? names[i] : "unknown";
}

const char *tw_last_error(const tw_ctx *ctx)
{
    return ctx ? ctx->message : "";
}

/* text into out [size], control characters as C writes them, cut to what fits. Escaping twice is
 * escaping once: backslashes stay as they are. */
static void escape_into(char *out, size_t size, const char *text)
{
    size_t at = 0;
    while (*text) {
        char piece[12];
        const size_t taken = twi_text_escape_control(text, piece);
        const size_t length = taken > 0 ? strlen(piece) : 1;
        if (at + length >= size) break;
        memcpy(out + at, taken > 0 ? piece : text, length);
        at += length;
        text += taken > 0 ? taken : 1;
    }
    out[at] = '\0';
}

static void message_format(tw_ctx *ctx, const char *suffix, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

/* The formatted sentence, escaped, and suffix, which is so already and may have several lines. */
static void message_format(tw_ctx *ctx, const char *suffix, const char *format, va_list args)
{
    char text[MESSAGE_BYTES];
    const int length = vsnprintf(text, sizeof text, format, args);
    if (length < 0) text[0] = '\0';
    escape_into(ctx->message, sizeof ctx->message, text);
    const size_t used = strlen(ctx->message);
    snprintf(ctx->message + used, sizeof ctx->message - used, "%s", suffix);
}

tw_status twi_fail_lines(tw_ctx *ctx, tw_status status, const char *text)
{
    if (ctx) snprintf(ctx->message, sizeof ctx->message, "%s", text);
    return status;
}

tw_status twi_fail(tw_ctx *ctx, tw_status status, const char *format, ...)
{
    if (!ctx) return status;
    va_list args;
    va_start(args, format);
    message_format(ctx, "", format, args);
    va_end(args);
    return status;
}

tw_status twi_fail_errno(tw_ctx *ctx, int errno_value, const char *format, ...)
{
    const tw_status status = errno_value == ENOMEM ? TW_ERR_NOMEM : TW_ERR_IO;
    if (!ctx) return status;
    char suffix[256], buffer[200];
    /* GNU strerror_r: thread-safe, and its text may be a static string instead of buffer. */
    snprintf(suffix, sizeof suffix, ": %s", strerror_r(errno_value, buffer, sizeof buffer));
    va_list args;
    va_start(args, format);
    message_format(ctx, suffix, format, args);
    va_end(args);
    return status;
}

tw_status twi_fail_prefix(tw_ctx *ctx, tw_status status, const char *format, ...)
{
    if (!ctx) return status;
    char old[MESSAGE_BYTES];
    memcpy(old, ctx->message, sizeof old);
    va_list args;
    va_start(args, format);
    message_format(ctx, old, format, args);
    va_end(args);
    return status;
}

void twi_log(tw_ctx *ctx, tw_log_level level, const char *format, ...)
{
    if (!ctx || !ctx->log) return;
    char text[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char escaped[MESSAGE_BYTES];
    escape_into(escaped, sizeof escaped, text);
    if (length >= 0) ctx->log(ctx->log_user, level, escaped);
}

/* ---- progress and cancelling --------------------------------------------------------------- */

double twi_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

bool twi_cancelled(const tw_ctx *ctx)
{
    for (; ctx; ctx = ctx->parent)
        if (atomic_load_explicit(&ctx->cancelled, memory_order_relaxed)) return true;
    return false;
}

tw_status twi_progress(tw_ctx *ctx, const char *stage, size_t done, size_t total, size_t failed)
{
    if (ctx->progress) {
        const double now = twi_seconds();
        const bool due = now - ctx->last_progress >= PROGRESS_SECONDS;
        const bool edge = stage != ctx->last_stage || (total > 0 && done == total);
        if (due || edge) {
            const tw_progress p = {stage, done, total, failed};
            ctx->last_progress = now;
            ctx->last_stage = stage;
            if (ctx->progress(ctx->progress_user, &p) != 0) atomic_store(&ctx->cancelled, true);
        }
    }
    if (!twi_cancelled(ctx)) return TW_OK;
    return twi_fail(ctx, TW_ERR_CANCELLED, "stopped on request during %s", stage);
}

/* ---- threads ------------------------------------------------------------------------------- */

/* cgroup v2 cpu.max or v1 cpu.cfs_*: the quota in whole processors, rounded up; 0 when there is
 * none. */
static size_t cgroup_quota(void)
{
    double quota = 0, period = 0;
    char first[32] = "";
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file) {
        if (fscanf(file, "%31s %lf", first, &period) == 2 && strcmp(first, "max") != 0)
            quota = twi_parse_double(first, NULL);
        fclose(file);
    } else {
        static const char *const paths[] = {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
                                            "/sys/fs/cgroup/cpu/cpu.cfs_period_us"};
        double *const values[] = {&quota, &period};
        for (size_t i = 0; i < 2; i++) {
            if (!(file = fopen(paths[i], "re"))) return 0;
            if (fscanf(file, "%lf", values[i]) != 1) *values[i] = 0;
            fclose(file);
        }
    }
    if (!(quota > 0) || !(period > 0)) return 0;
    const double processors = quota / period;
    const size_t whole = (size_t)processors;
    return whole + ((double)whole < processors);
}

static size_t system_threads(void)
{
    size_t n = 1;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        const int count = CPU_COUNT(&set);
        n = count > 0 ? (size_t)count : 1;
    }
    const size_t quota = cgroup_quota();
    return quota > 0 && quota < n ? quota : n;
}

size_t twi_threads(const tw_ctx *ctx)
{
    return ctx->threads > 0 ? ctx->threads : ctx->system_threads;
}

/* ---- life ---------------------------------------------------------------------------------- */

tw_status tw_ctx_new(tw_ctx **out)
{
    if (!out) return TW_ERR_ARG;
    tw_ctx *ctx = calloc(1, sizeof *ctx);
    if (!ctx) return TW_ERR_NOMEM;
    atomic_init(&ctx->cancelled, false);
    ctx->system_threads = system_threads();
    *out = ctx;
    return TW_OK;
}

void tw_ctx_free(tw_ctx *ctx)
{
    free(ctx);
}

void tw_ctx_set_threads(tw_ctx *ctx, size_t threads)
{
    ctx->threads = threads;
}

void tw_ctx_set_progress(tw_ctx *ctx, tw_progress_fn fn, void *user)
{
    ctx->progress = fn;
    ctx->progress_user = user;
    ctx->last_stage = NULL;
    ctx->last_progress = 0;
    atomic_store(&ctx->cancelled, false); /* a new callback starts with a clean slate */
}

void tw_ctx_set_log(tw_ctx *ctx, tw_log_fn fn, void *user)
{
    ctx->log = fn;
    ctx->log_user = user;
}

tw_status twi_ctx_child(tw_ctx *parent, tw_ctx **out)
{
    tw_ctx *child = calloc(1, sizeof *child);
    if (!child) return twi_fail(parent, TW_ERR_NOMEM, "no memory for a worker's context");
    atomic_init(&child->cancelled, false);
    child->threads = parent->threads;
    child->system_threads = parent->system_threads;
    child->parent = parent;
    child->cache = parent->cache;
    *out = child;
    return TW_OK;
}

tw_status twi_ctx_adopt(tw_ctx *ctx, const tw_ctx *child, tw_status status)
{
    if (ctx != child) memcpy(ctx->message, child->message, sizeof ctx->message);
    return status;
}

void tw_ctx_set_cache(tw_ctx *ctx, tw_cache *cache)
{
    ctx->cache = cache;
}

tw_cache *twi_ctx_cache(const tw_ctx *ctx)
{
    return ctx->cache;
}
