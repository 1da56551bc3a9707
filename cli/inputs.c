#include "inputs.h"

#include "signals.h"
#include "walk.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct name_reader { /* standard input, a name at a time */
    bool open;
    char ending;
    char *buffer;
    size_t start, end, capacity; /* what was read and not yet given out: [start, end) */
    bool finished;
} name_reader;

struct inputs {
    char *const *names;
    size_t count, at, total;
    name_reader reader;
    walk *walker; /* the folder being walked; NULL: none */
    bool failed, had_folder;
    size_t special;
    pthread_mutex_t lock; /* over the queue: fetched in one thread, answered in another */
    input *first, *last;
};

/* ---- standard input ------------------------------------------------------------------------ */

/* Waits for input, but not longer than a signal: read() alone would be restarted. False: stop
 * reading. */
static bool wait_readable(void)
{
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
    while (!signals_caught()) {
        const int n = poll(&fd, 1, 200);
        if (n > 0) return true;
        if (n < 0 && errno != EINTR) return false;
    }
    return false;
}

typedef enum fetch { FETCHED, EXHAUSTED, FETCH_NOMEM } fetch;

static fetch reader_fill(name_reader *r)
{
    if (r->start > 0) {
        memmove(r->buffer, r->buffer + r->start, r->end - r->start);
        r->end -= r->start;
        r->start = 0;
    }
    if (r->end + 1 >= r->capacity) {
        const size_t capacity = r->capacity ? 2 * r->capacity : 65536;
        char *const buffer = realloc(r->buffer, capacity);
        if (!buffer) return FETCH_NOMEM;
        r->buffer = buffer;
        r->capacity = capacity;
    }
    ssize_t n = -1;
    if (wait_readable()) do
            n = read(STDIN_FILENO, r->buffer + r->end, r->capacity - r->end - 1);
        while (n < 0 && errno == EINTR && !signals_caught());
    if (n <= 0) {
        r->finished = true;
        return EXHAUSTED;
    }
    r->end += (size_t)n;
    return FETCHED;
}

/* The next name [*size], borrowed until the next call; NUL-ended as well. Empty names are passed
 * over. */
static fetch reader_next(name_reader *r, const char **name, size_t *size)
{
    size_t searched = 0;
    for (;;) {
        char *const from = r->buffer ? r->buffer + r->start : NULL;
        const size_t left = r->end - r->start;
        char *const end =
            left > searched ? memchr(from + searched, r->ending, left - searched) : NULL;
        if (!end && !r->finished) {
            searched = left;
            if (reader_fill(r) == FETCH_NOMEM) return FETCH_NOMEM;
            continue;
        }
        const size_t length = end ? (size_t)(end - from) : left;
        if (!end && length == 0) return EXHAUSTED;
        from[length] = '\0'; /* over the ending, or in the byte that reader_fill() keeps free */
        r->start += length + (end != NULL);
        searched = 0;
        if (length == 0) continue;
        *name = from;
        *size = length;
        return FETCHED;
    }
}

/* ---- where the next picture comes from ----------------------------------------------------- */

static input *input_new(const char *path, bool walked, const char *error)
{
    const size_t n = strlen(path) + 1, message = error ? strlen(error) + 1 : 0;
    input *const item = malloc(sizeof *item + n + message);
    if (!item) return NULL;
    *item = (input){.walked = walked};
    memcpy(item->path, path, n);
    if (error) item->error = memcpy(item->path + n, error, message);
    return item;
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static fetch from_walk(inputs *in, input **item)
{
    const char *path;
    int why = 0;
    const walk_result r = walk_next(in->walker, &path, &why);
    if (r == WALK_NOMEM) return FETCH_NOMEM;
    if (r == WALK_END) {
        in->special += walk_special_count(in->walker);
        walk_free(in->walker);
        in->walker = NULL;
        return EXHAUSTED;
    }
    /* a folder that cannot be read is a failed input, whoever named it */
    *item = input_new(path, r == WALK_FILE, r == WALK_ERROR ? strerror(why) : NULL);
    return *item ? FETCHED : FETCH_NOMEM;
}

/* A name that somebody gave: a folder starts a walk, anything else is taken for a picture.
 * EXHAUSTED: a walk. */
static fetch from_name(inputs *in, const char *name, input **item)
{
    if (is_folder(name)) {
        in->had_folder = true;
        in->walker = walk_new(name);
        return in->walker ? EXHAUSTED : FETCH_NOMEM;
    }
    *item = input_new(name, false, NULL);
    return *item ? FETCHED : FETCH_NOMEM;
}

static fetch from_reader(inputs *in, input **item)
{
    const char *name;
    size_t size;
    const fetch r = reader_next(&in->reader, &name, &size);
    if (r == EXHAUSTED) in->reader.open = false;
    if (r != FETCHED) return r;
    if (strlen(name) == size) return from_name(in, name, item);
    *item = input_new(name, false,
                      "a NUL byte follows in this line: names that end in NUL are read with -0");
    return *item ? FETCHED : FETCH_NOMEM;
}

static fetch fetch_input(inputs *in, input **item)
{
    for (;;) {
        fetch r = EXHAUSTED;
        if (in->walker)
            r = from_walk(in, item);
        else if (in->reader.open)
            r = from_reader(in, item);
        else if (in->at == in->count)
            return EXHAUSTED;
        else if (strcmp(in->names[in->at], "-") == 0)
            in->at++, in->reader.open = true, in->reader.finished = false;
        else
            r = from_name(in, in->names[in->at++], item);
        if (r != EXHAUSTED) return r;
        if (signals_caught()) return EXHAUSTED;
    }
}

/* ---- the feed ------------------------------------------------------------------------------ */

inputs *inputs_open(char *const *names, size_t count, bool nul_ended)
{
    inputs *const in = calloc(1, sizeof *in);
    if (!in) return NULL;
    if (pthread_mutex_init(&in->lock, NULL) != 0) {
        free(in);
        return NULL;
    }
    in->names = names;
    in->count = count;
    in->reader.ending = nul_ended ? '\0' : '\n';
    bool known = true;
    for (size_t i = 0; i < count && known; i++)
        known = strcmp(names[i], "-") != 0 && !is_folder(names[i]);
    in->total = known ? count : 0;
    return in;
}

void inputs_free(inputs *in)
{
    if (!in) return;
    while (in->first) inputs_pop(in);
    walk_free(in->walker);
    free(in->reader.buffer);
    pthread_mutex_destroy(&in->lock);
    free(in);
}

size_t inputs_total(const inputs *in)
{
    return in->total;
}

const char *inputs_next(inputs *in, size_t i)
{
    input *item = NULL;
    (void)i; /* in order, once each: the queue counts for us */
    if (in->failed) return NULL;
    const fetch r = fetch_input(in, &item);
    in->failed = r == FETCH_NOMEM;
    if (r != FETCHED) return NULL;
    pthread_mutex_lock(&in->lock);
    if (in->last)
        in->last->next = item;
    else
        in->first = item;
    in->last = item;
    pthread_mutex_unlock(&in->lock);
    return item->path;
}

const input *inputs_front(inputs *in)
{
    pthread_mutex_lock(&in->lock);
    const input *const front = in->first;
    pthread_mutex_unlock(&in->lock);
    return front;
}

void inputs_pop(inputs *in)
{
    pthread_mutex_lock(&in->lock);
    input *const front = in->first;
    in->first = front->next;
    if (!in->first) in->last = NULL;
    pthread_mutex_unlock(&in->lock);
    free(front);
}

bool inputs_failed(const inputs *in)
{
    return in->failed;
}

size_t inputs_special_count(const inputs *in)
{
    return in->special;
}

bool inputs_had_folder(const inputs *in)
{
    return in->had_folder;
}
