/* extract.c - pictures a second from files to features, beside the network alone, in paired rounds.
 *
 *     bench-extract NETWORK FOLDER [--photos N] [--rounds R] [--seconds S] [--threads T] [--batch
 * B]
 *                   [--precision f32|bf16|auto] [--alone STREAMSxTHREADSxBATCH]...
 *
 * NETWORK: vgg16 or sapling (drawn weights). FOLDER: one folder of pictures a class; taken over and
 * over until there are N of them. Each round times the network alone in every --alone layout for S
 * seconds, then one extraction of N pictures. Lines of "key value"; medians, then the largest
 * resident memory of the process. */
#include "networks.h"

#include "base/ctx.h"

#include <fts.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { LAYOUTS = 8, ROUNDS = 64 };

typedef struct layout { /* of a network run without pictures */
    size_t streams, threads, batch;
    twi_program *program;
    double rate[ROUNDS], cpu[ROUNDS];
} layout;

typedef struct bench {
    tw_ctx *ctx;
    const char *network_name, *folder;
    size_t photos, rounds, threads, batch;
    double seconds;
    tw_precision precision;
    layout layouts[LAYOUTS];
    size_t n_layouts;
    twi_network *network, *cut;
    twi_recipe recipe;
    char **paths;
    size_t n_paths;
    double rate[ROUNDS], cpu[ROUNDS], decode[ROUNDS];
} bench;

static _Noreturn void die(const bench *b, const char *what)
{
    fprintf(stderr, "bench-extract: %s: %s\n", what, tw_last_error(b->ctx));
    exit(1);
}

static void *checked(void *p)
{
    if (p) return p;
    fputs("bench-extract: out of memory\n", stderr);
    exit(1);
}

/* Processor seconds of all threads so far: what a picture costs even when others want the cores. */
static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the network alone --------------------------------------------------------------------- */

typedef struct stream {
    const bench *b;
    const layout *l;
    twi_workspace *workspace;
    float *images, *out;
    double until;
    size_t done;
} stream;

static void *stream_run(void *user)
{
    stream *s = user;
    while (twi_seconds() < s->until) {
        /* A context only for messages; a failure here shows as no pictures at all. */
        if (twi_program_run(NULL, s->l->program, s->workspace, s->images, s->l->batch, s->out) !=
            TW_OK)
            break;
        s->done += s->l->batch;
    }
    return NULL;
}

static void alone(const bench *b, layout *l, size_t round)
{
    stream *streams = checked(calloc(l->streams, sizeof *streams));
    pthread_t *threads = checked(calloc(l->streams, sizeof *threads));
    const size_t each = b->recipe.height * b->recipe.width * 3;
    for (size_t k = 0; k < l->streams; k++) {
        stream *s = &streams[k];
        *s = (stream){.b = b, .l = l};
        s->images = checked(malloc(l->batch * each * sizeof(float)));
        s->out = checked(malloc(l->batch * twi_program_output_count(l->program) * sizeof(float)));
        for (size_t i = 0; i < l->batch * each; i++) s->images[i] = (float)(i * 7 % 255) - 127;
        if (twi_workspace_new(b->ctx, l->program, &s->workspace) != TW_OK) die(b, "workspace");
        if (twi_program_run(b->ctx, l->program, s->workspace, s->images, l->batch, s->out) != TW_OK)
            die(b, "network");
    }
    const double start = twi_seconds(), cpu = cpu_seconds();
    size_t done = 0;
    for (size_t k = 0; k < l->streams; k++) {
        streams[k].until = start + b->seconds;
        if (pthread_create(&threads[k], NULL, stream_run, &streams[k]) != 0) die(b, "thread");
    }
    for (size_t k = 0; k < l->streams; k++) pthread_join(threads[k], NULL);
    const double seconds = twi_seconds() - start, busy = cpu_seconds() - cpu;
    for (size_t k = 0; k < l->streams; k++) {
        done += streams[k].done;
        twi_workspace_free(streams[k].workspace);
        free(streams[k].images);
        free(streams[k].out);
    }
    free(streams);
    free(threads);
    l->rate[round] = (double)done / seconds;
    l->cpu[round] = 1e3 * busy / (double)done;
}

static void layouts_compile(bench *b)
{
    if (twi_network_for_inference(b->ctx, b->network, TWI_OUTPUT_AVG, true, &b->cut) != TW_OK)
        die(b, b->network_name);
    for (size_t i = 0; i < b->n_layouts; i++) {
        layout *l = &b->layouts[i];
        const twi_engine_opts opts = {.precision = b->precision,
                                      .batch = l->batch,
                                      .height = b->recipe.height,
                                      .width = b->recipe.width,
                                      .threads = l->threads};
        if (twi_program_new(b->ctx, b->cut, &opts, NULL, &l->program) != TW_OK) die(b, "compile");
    }
}

/* ---- files to features --------------------------------------------------------------------- */

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void paths_find(bench *b)
{
    char *roots[] = {(char *)(uintptr_t)b->folder, NULL};
    FTS *walk = checked(fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name));
    size_t capacity = 0;
    for (const FTSENT *e; (e = fts_read(walk));) {
        if (e->fts_info != FTS_F) continue;
        if (b->n_paths == capacity) {
            capacity = capacity ? 2 * capacity : 1024;
            b->paths = checked(realloc(b->paths, capacity * sizeof *b->paths));
        }
        b->paths[b->n_paths++] = checked(strdup(e->fts_path));
    }
    fts_close(walk);
    if (b->n_paths == 0) {
        fprintf(stderr, "bench-extract: no file under %s\n", b->folder);
        exit(1);
    }
}

/* Classes in turn, so that a subset is of all of them. */
static const char *path_at(void *user, size_t i)
{
    const bench *b = user;
    const size_t half = b->n_paths / 2 ? b->n_paths / 2 : 1;
    return i < b->photos ? b->paths[(i / 2 + i % 2 * half) % b->n_paths] : NULL;
}

static int drop_row(void *user, size_t i, tw_status status, const char *message, const float *row)
{
    (void)user, (void)i, (void)row;
    if (status != TW_OK) fprintf(stderr, "skipped: %s\n", message);
    return 0;
}

static void extract(bench *b, twi_extractor *ex, size_t round)
{
    const twi_source source = {.path = path_at, .user = b, .total = b->photos};
    twi_extract_stats stats;
    const double cpu = cpu_seconds();
    if (twi_extractor_run(b->ctx, ex, &source, drop_row, NULL, &stats) != TW_OK) die(b, "extract");
    b->rate[round] = (double)(stats.rows + stats.failed) / stats.seconds_wall;
    b->cpu[round] = 1e3 * (cpu_seconds() - cpu) / (double)b->photos;
    b->decode[round] = stats.seconds_decode / (double)b->photos * 1e3;
}

/* ---- the program --------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values, size_t n)
{
    double sorted[ROUNDS];
    memcpy(sorted, values, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    return (sorted[n / 2] + sorted[(n - 1) / 2]) / 2;
}

/* Non-zero: not a precision. */
static int precision_read(const char *word, tw_precision *out)
{
    for (tw_precision p = TW_PRECISION_AUTO; p <= TW_PRECISION_BF16; p++)
        if (strcmp(word, twi_precision_name(p)) == 0) return *out = p, 0;
    return 1;
}

static void options_read(bench *b, int argc, char **argv)
{
    static const struct option known[] = {{"photos", 1, NULL, 'n'},  {"rounds", 1, NULL, 'r'},
                                          {"seconds", 1, NULL, 's'}, {"threads", 1, NULL, 't'},
                                          {"batch", 1, NULL, 'b'},   {"precision", 1, NULL, 'p'},
                                          {"alone", 1, NULL, 'a'},   {NULL, 0, NULL, 0}};
    bool usage = false;
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        layout *l = &b->layouts[b->n_layouts];
        if (c == 'n') b->photos = strtoul(optarg, NULL, 10);
        if (c == 'r') b->rounds = strtoul(optarg, NULL, 10);
        if (c == 's') b->seconds = strtod(optarg, NULL);
        if (c == 't') b->threads = strtoul(optarg, NULL, 10);
        if (c == 'b') b->batch = strtoul(optarg, NULL, 10);
        if (c == 'p') usage |= precision_read(optarg, &b->precision);
        if (c == 'a')
            usage |= b->n_layouts == LAYOUTS ||
                     sscanf(optarg, "%zux%zux%zu", &l->streams, &l->threads, &l->batch) != 3;
        if (c == 'a' && !usage) b->n_layouts++;
        usage |= c == '?';
    }
    if (usage || argc - optind != 2 || (b->precision == TW_PRECISION_AUTO && b->n_layouts > 0) ||
        b->rounds < 1 || b->rounds > ROUNDS || b->photos < 1) {
        fputs("usage: bench-extract vgg16|sapling FOLDER [--photos N] [--rounds R] [--seconds S] "
              "[--threads T] [--batch B] [--precision f32|bf16|auto] [--alone SxTxB]...\n",
              stderr);
        exit(2);
    }
    b->network_name = argv[optind];
    b->folder = argv[optind + 1];
}

static void report(const bench *b)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    for (size_t i = 0; i < b->n_layouts; i++) {
        const layout *l = &b->layouts[i];
        double ratio[ROUNDS];
        for (size_t r = 0; r < b->rounds; r++) ratio[r] = b->rate[r] / l->rate[r];
        printf("alone_%zux%zux%zu %.2f\n", l->streams, l->threads, l->batch,
               median(l->rate, b->rounds));
        printf("alone_cpu_ms_%zux%zux%zu %.3f\n", l->streams, l->threads, l->batch,
               median(l->cpu, b->rounds));
        printf("extract_over_alone_%zux%zux%zu %.3f\n", l->streams, l->threads, l->batch,
               median(ratio, b->rounds));
    }
    printf("extract %.2f\n", median(b->rate, b->rounds));
    printf("extract_cpu_ms %.3f\n", median(b->cpu, b->rounds));
    printf("decode_ms %.3f\n", median(b->decode, b->rounds));
    printf("peak_rss_kib %ld\n", usage.ru_maxrss);
}

int main(int argc, char **argv)
{
    bench b = {.photos = 200, .rounds = 5, .seconds = 2, .precision = TW_PRECISION_BF16};
    options_read(&b, argc, argv);
    if (tw_ctx_new(&b.ctx) != TW_OK) return 1;
    tw_ctx_set_threads(b.ctx, b.threads);
    if (bench_network(b.ctx, b.network_name, &b.network, &b.recipe) != TW_OK) die(&b, "network");
    paths_find(&b);
    layouts_compile(&b);
    twi_extractor *ex;
    const twi_extractor_opts opts = {
        .recipe = b.recipe, .output = TWI_OUTPUT_AVG, .precision = b.precision, .batch = b.batch};
    if (twi_extractor_new(b.ctx, b.network, &opts, &ex) != TW_OK) die(&b, "extractor");
    for (size_t r = 0; r < b.rounds; r++) {
        for (size_t i = 0; i < b.n_layouts; i++) alone(&b, &b.layouts[i], r);
        extract(&b, ex, r);
    }
    report(&b);
    twi_extractor_free(ex);
    for (size_t i = 0; i < b.n_layouts; i++) twi_program_free(b.layouts[i].program);
    twi_network_free(b.cut);
    twi_network_free(b.network);
    for (size_t i = 0; i < b.n_paths; i++) free(b.paths[i]);
    free(b.paths);
    tw_ctx_free(b.ctx);
    return 0;
}
