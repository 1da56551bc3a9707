#include "progress.h"

#include "options.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void progress_init(progress_line *line, int mode)
{
    const bool terminal = isatty(STDERR_FILENO) == 1;
    *line = (progress_line){.redraws = terminal};
    line->enabled = mode == PROGRESS_ALWAYS || (mode == PROGRESS_AUTO && terminal);
}

static int terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

/* "1 h 02 min", "3 min 20 s", "45 s" */
static int duration(char *out, size_t size, double seconds)
{
    const unsigned long s = (unsigned long)(seconds + 0.5);
    if (s >= 3600) return snprintf(out, size, "%lu h %02lu min", s / 3600, s / 60 % 60);
    if (s >= 60) return snprintf(out, size, "%lu min %02lu s", s / 60, s % 60);
    return snprintf(out, size, "%lu s", s);
}

static bool counts_bytes(const char *stage)
{
    return strcmp(stage, "fetch") == 0 || strcmp(stage, "check") == 0;
}

/* The whole line; never longer than size. new: how many of done came within elapsed. */
static void compose(char *out, size_t size, const tw_progress *p, size_t new, double elapsed)
{
    char left[48] = "";
    size_t used = 0;
    const bool bytes = counts_bytes(p->stage);
#define ADD(...)                                                                                   \
    do {                                                                                           \
        const int n = snprintf(out + used, size - used, __VA_ARGS__);                              \
        if (n > 0) used = (size_t)n < size - used ? used + (size_t)n : size - 1;                   \
    } while (0)
    const double rate = elapsed > 0 ? (double)new / elapsed : 0;
    const bool photos = strcmp(p->stage, "features") == 0;
    if (bytes) {
        ADD("%s %.1f", p->stage, (double)p->done / 0x1p20);
        if (p->total) ADD("/%.1f", (double)p->total / 0x1p20);
        ADD(" MiB");
        if (rate > 0 && elapsed >= 0.5) ADD("  %.1f MiB/s", rate / 0x1p20);
    } else {
        ADD("%s %zu", p->stage, p->done);
        if (p->total) ADD("/%zu", p->total);
    }
    if (photos && rate > 0 && elapsed >= 0.5) ADD("  %.*f photos/s", rate < 10 ? 1 : 0, rate);
    if (p->total > p->done && rate > 0 && elapsed >= 2) {
        duration(left, sizeof left, (double)(p->total - p->done) / rate);
        ADD("  %s left", left);
    }
    if (p->failed) ADD("  %zu skipped", p->failed);
#undef ADD
}

void progress_draw(progress_line *line, const tw_progress *p)
{
    if (!line->enabled) return;
    const double now = seconds_now();
    if (!line->stage || strcmp(line->stage, p->stage) != 0) {
        line->stage = p->stage;
        line->stage_start = now;
        line->last_drawn = 0;
        line->first = 0;
        line->counting = false;
    }
    if (!line->counting && p->total && counts_bytes(p->stage)) {
        line->counting = true;
        line->first = p->done;
        line->stage_start = now;
    }
    const bool last = p->total && p->done == p->total;
    if (!last && now - line->last_drawn < (line->redraws ? 0.1 : 2.0)) return;
    line->last_drawn = now;
    char text[256];
    const size_t new = p->done > line->first ? p->done - line->first : 0;
    compose(text, sizeof text, p, new, now - line->stage_start);
    if (line->redraws) {
        fprintf(stderr, "\r\033[K%.*s", terminal_width() - 1, text);
        line->shown = true;
    } else {
        fprintf(stderr, "%s\n", text);
    }
    fflush(stderr);
}

void progress_hide(progress_line *line)
{
    if (!line->shown) return;
    fputs("\r\033[K", stderr);
    line->shown = false;
}
