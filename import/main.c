/* main.c - topwork-import: a foreign weight file in, a backbone file out; or one fetched.
 *
 * `topwork backbone import` starts it in a process of its own, because the library that reads HDF5
 * is not safe on hostile files. What it says goes to standard error as "topwork-import: WORD:
 * sentence", WORD being tw_status_name(), and the parent reads that line (src/api/import.c). */
#include "importer/fetch.h"
#include "importer/importer.h"
#include "base/text.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* AddressSanitizer maps terabytes of shadow memory: a limit would end it at once. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum {
    OPT_LIST = 256,
    OPT_NAME,
    OPT_FEATURE,
    OPT_DTYPE,
    OPT_RECIPE,
    OPT_LABELS,
    OPT_MEMORY,
    OPT_CPU,
    OPT_FETCH,
    OPT_MAX_BYTES,
    OPT_STALL,
    OPT_ATTEMPTS,
    OPT_RANDOM,
    OPT_WIDTH,
    OPT_SIZE,
    OPT_CLASSES
};

static const struct option long_options[] = {
    {"arch", required_argument, NULL, 'a'},
    {"output", required_argument, NULL, 'o'},
    {"name", required_argument, NULL, OPT_NAME},
    {"feature", required_argument, NULL, OPT_FEATURE},
    {"dtype", required_argument, NULL, OPT_DTYPE},
    {"recipe-json", required_argument, NULL, OPT_RECIPE},
    {"labels", required_argument, NULL, OPT_LABELS},
    {"list", optional_argument, NULL, OPT_LIST},
    {"memory-limit", required_argument, NULL, OPT_MEMORY},
    {"cpu-limit", required_argument, NULL, OPT_CPU},
    {"fetch", required_argument, NULL, OPT_FETCH},
    {"max-bytes", required_argument, NULL, OPT_MAX_BYTES},
    {"stall", required_argument, NULL, OPT_STALL},
    {"attempts", required_argument, NULL, OPT_ATTEMPTS},
    {"random", required_argument, NULL, OPT_RANDOM},
    {"width", required_argument, NULL, OPT_WIDTH},
    {"size", required_argument, NULL, OPT_SIZE},
    {"classes", required_argument, NULL, OPT_CLASSES},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const char usage[] =
    "usage: topwork-import FILE [--arch NAME] -o OUT.tw [options]\n"
    "       topwork-import --fetch ADDRESS -o FILE [options]\n"
    "       topwork-import --random SEED --arch NAME --size N -o OUT.tw [options]\n"
    "\n"
    "Reads pretrained weights (safetensors or NumPy .npz with torchvision's names, or Keras\n"
    "HDF5 or .keras) or an ONNX model, and writes a backbone file: graph, weights, recipe.\n"
    "With --fetch: fetches a file over https or http, going on where an earlier call was cut\n"
    "off.\n"
    "With --random: draws weights to train from nothing.\n"
    "\n"
    "  -a, --arch NAME       whose weights they are; --list shows what is known; not for ONNX\n"
    "      --feature NODE    ONNX: the node or value that is the features, instead of the last\n"
    "                        before the classifier\n"
    "  -o, --output FILE     the backbone file to write, atomically\n"
    "      --name NAME       name of the backbone (default: that of the architecture)\n"
    "      --dtype TYPE      f32: weights as they came; f16: matrices in half precision\n"
    "      --recipe-json J   JSON object whose keys replace those of the recipe\n"
    "      --labels FILE     names of the classifier's classes, one a line\n"
    "      --list[=keras]    list the architectures (names of those with Keras weights) and end\n"
    "      --memory-limit N  stop above N MiB of address space\n"
    "      --cpu-limit N     stop after N seconds of processor time\n"
    "      --max-bytes N     refuse to fetch a larger file (default: 4294967296)\n"
    "      --stall N         give up a connection that brings nothing for N seconds (default: 30)\n"
    "      --attempts N      how often to try when trouble may pass (default: 5)\n"
    "      --random SEED     draw the weights; for sapling, resnet18, resnet34, mobilenet_v2 and\n"
    "                        squeezenet1_1\n"
    "      --size N          random: pixels a side of the pictures\n"
    "      --width X         random: channels of the first stage of sapling and resnet, or how "
    "many\n"
    "                        times the usual number\n"
    "      --classes N       random: with a classifier of N classes\n"
    "  -h, --help            this text\n"
    "\n"
    "Exit code: 0 done, 2 usage, 3 data, 4 format, 5 resources.\n";

typedef struct command_line {
    twi_import_opts opts;
    twi_fetch_opts fetch; /* address NULL: import */
    bool random;          /* draw weights instead */
    double width;         /* of those; 0: the usual */
    rlim_t seed, side, classes;
    const char *in, *out;
    rlim_t memory_mib, cpu_seconds; /* 0: no limit */
    rlim_t max_bytes, stall, attempts;
    const char *listed; /* "" or the argument of --list */
    bool help, list;
} command_line;

static tw_status take_number(tw_ctx *ctx, const char *option, const char *text, rlim_t *out)
{
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9' || value == 0 ||
        value > (uint64_t)1 << 40)
        return twi_fail(ctx, TW_ERR_ARG, "--%s %s: need a whole number above 0", option, text);
    *out = (rlim_t)value;
    return TW_OK;
}

static tw_status take_seed(tw_ctx *ctx, const char *text, command_line *line)
{
    line->random = true;
    if (strcmp(text, "0") == 0) return TW_OK;
    const tw_status st = take_number(ctx, "random", text, &line->seed);
    if (st != TW_OK || line->seed <= UINT32_MAX) return st;
    return twi_fail(ctx, TW_ERR_ARG, "--random %s: a seed is at most %u", text, UINT32_MAX);
}

static tw_status take_width(tw_ctx *ctx, const char *text, double *out)
{
    char *end;
    const double value = twi_parse_double(text, &end);
    if (end == text || *end != '\0' || !(value > 0.0 && value <= 65536.0))
        return twi_fail(ctx, TW_ERR_ARG, "--width %s: need a number above 0", text);
    *out = value;
    return TW_OK;
}

static tw_status take_option(tw_ctx *ctx, int option, const char *value, command_line *line)
{
    switch (option) {
    case 'a':
        line->opts.arch = value;
        return TW_OK;
    case 'o':
        line->out = value;
        return TW_OK;
    case 'h':
        line->help = true;
        return TW_OK;
    case OPT_LIST:
        line->list = true;
        line->listed = value ? value : "";
        return TW_OK;
    case OPT_FEATURE:
        line->opts.feature = value;
        return TW_OK;
    case OPT_FETCH:
        line->fetch.address = value;
        return TW_OK;
    case OPT_MAX_BYTES:
        return take_number(ctx, "max-bytes", value, &line->max_bytes);
    case OPT_STALL:
        return take_number(ctx, "stall", value, &line->stall);
    case OPT_ATTEMPTS:
        return take_number(ctx, "attempts", value, &line->attempts);
    case OPT_NAME:
        line->opts.name = value;
        return TW_OK;
    case OPT_DTYPE:
        line->opts.dtype = value;
        return TW_OK;
    case OPT_RECIPE:
        line->opts.recipe_json = value;
        return TW_OK;
    case OPT_LABELS:
        line->opts.labels_path = value;
        return TW_OK;
    case OPT_RANDOM:
        return take_seed(ctx, value, line);
    case OPT_WIDTH:
        return take_width(ctx, value, &line->width);
    case OPT_SIZE:
        return take_number(ctx, "size", value, &line->side);
    case OPT_CLASSES:
        return take_number(ctx, "classes", value, &line->classes);
    case OPT_MEMORY:
        return take_number(ctx, "memory-limit", value, &line->memory_mib);
    case OPT_CPU:
        return take_number(ctx, "cpu-limit", value, &line->cpu_seconds);
    default:
        return twi_fail(ctx, TW_ERR_ARG, "unknown option, or one without its value; see --help");
    }
}

static tw_status read_command_line(tw_ctx *ctx, int argc, char **argv, command_line *line)
{
    int option;
    opterr = 0; /* one sentence in our own form instead of getopt's */
    while ((option = getopt_long(argc, argv, "a:o:h", long_options, NULL)) != -1) {
        const tw_status st = take_option(ctx, option, optarg, line);
        if (st != TW_OK) return st;
    }
    if (line->help || line->list) return TW_OK;
    const bool fileless = line->fetch.address || line->random;
    if (fileless && argc - optind != 0)
        return twi_fail(ctx, TW_ERR_ARG, "%s takes no weight file; see --help",
                        line->random ? "--random" : "--fetch");
    if (line->random && (line->fetch.address || !line->opts.arch))
        return twi_fail(ctx, TW_ERR_ARG, "--random needs --arch, and no --fetch; see --help");
    if (!fileless && argc - optind != 1)
        return twi_fail(ctx, TW_ERR_ARG, "need one weight file, got %d; see --help", argc - optind);
    if (!fileless) line->in = argv[optind];
    return line->out ? TW_OK : twi_fail(ctx, TW_ERR_ARG, "where to write is missing: -o FILE");
}

/* Never above what the caller's own limits allow. The soft limit is what ends us in a way that says
 * why: the kernel answers the hard one on processor time with SIGKILL. */
static tw_status limit(tw_ctx *ctx, __rlimit_resource_t what, const char *name, rlim_t value)
{
    struct rlimit limits;
    if (getrlimit(what, &limits) == 0) {
        if (value < limits.rlim_cur) limits.rlim_cur = value;
        if (value + 1 < limits.rlim_max) limits.rlim_max = value + 1;
        if (setrlimit(what, &limits) == 0) return TW_OK;
    }
    return twi_fail_errno(ctx, errno, "%s cannot be limited to %llu", name,
                          (unsigned long long)value);
}

static tw_status set_limits(tw_ctx *ctx, const command_line *line)
{
    /* A hostile file must not fill the disk with core dumps. */
    tw_status st = limit(ctx, RLIMIT_CORE, "core dump", 0);
    if (st == TW_OK && line->memory_mib > 0 && !SANITIZED)
        st = limit(ctx, RLIMIT_AS, "memory", line->memory_mib << 20);
    if (st == TW_OK && line->cpu_seconds > 0)
        st = limit(ctx, RLIMIT_CPU, "processor time", line->cpu_seconds);
    return st;
}

static tw_status print_architectures(tw_ctx *ctx, const char *which)
{
    const bool keras = strcmp(which, "keras") == 0;
    const twi_architecture *arch;
    if (!keras && *which)
        return twi_fail(ctx, TW_ERR_ARG, "--list=%s: need keras, or nothing", which);
    for (size_t i = 0; (arch = twi_architecture_at(i)); i++) {
        if (!keras)
            printf("%-14s %s\n", arch->name, arch->description);
        else if (arch->recipes[TWI_KERAS])
            puts(arch->name);
    }
    return TW_OK;
}

/* The parent reads these lines too; one that has gone ends us with SIGPIPE. */
static int print_progress(void *user, const tw_progress *progress)
{
    (void)user;
    fprintf(stderr, "topwork-import: progress %zu %zu\n", progress->done, progress->total);
    return 0;
}

static tw_status fetch(tw_ctx *ctx, command_line *line)
{
    twi_fetched fetched;
    twi_fetch_opts *opts = &line->fetch;
    const char *certificates = getenv("SSL_CERT_FILE");
    opts->path = line->out;
    opts->max_bytes = line->max_bytes > 0 ? line->max_bytes : (uint64_t)4 << 30;
    opts->stall_seconds = line->stall > 0 && line->stall < 86400 ? (unsigned)line->stall : 30;
    opts->attempts = line->attempts > 0 && line->attempts < 1000 ? (unsigned)line->attempts : 5;
    opts->ca_file = certificates && *certificates ? certificates : NULL;
    tw_ctx_set_progress(ctx, print_progress, NULL);
    const tw_status st = twi_fetch(ctx, opts, &fetched);
    if (st == TW_OK)
        fprintf(stderr, "topwork-import: fetched %llu %llu %llu\n",
                (unsigned long long)fetched.bytes, (unsigned long long)fetched.received,
                (unsigned long long)fetched.kept);
    return st;
}

static tw_status draw(tw_ctx *ctx, const command_line *line)
{
    const twi_random_opts opts = {.arch = line->opts.arch,
                                  .name = line->opts.name,
                                  .width = line->width,
                                  .side = line->side,
                                  .classes = line->classes,
                                  .seed = (uint32_t)line->seed};
    return twi_import_random(ctx, &opts, line->out);
}

/* One line whatever a file name holds: the parent reads lines. */
static void print_error(tw_status status, const char *sentence)
{
    fprintf(stderr, "topwork-import: %s: ", tw_status_name(status));
    for (const char *at = sentence; *at; at++) {
        if (*at == '\n')
            fputs("\\x0a", stderr);
        else
            fputc(*at, stderr);
    }
    fputc('\n', stderr);
}

static int exit_code(tw_status status)
{
    switch (status) {
    case TW_OK:
        return 0;
    case TW_ERR_ARG:
        return 2;
    case TW_ERR_DATA:
        return 3;
    case TW_ERR_NOMEM:
    case TW_ERR_IO:
        return 5;
    default:
        return 4;
    }
}

int main(int argc, char **argv)
{
    command_line line = {0};
    tw_ctx *ctx;
    tw_status st = tw_ctx_new(&ctx);
    if (st != TW_OK) {
        print_error(st, "no memory to start with");
        return exit_code(st);
    }
    st = read_command_line(ctx, argc, argv, &line);
    if (st == TW_OK && line.help)
        fputs(usage, stdout);
    else if (st == TW_OK && line.list)
        st = print_architectures(ctx, line.listed);
    else if (st == TW_OK && (st = set_limits(ctx, &line)) == TW_OK)
        st = line.random          ? draw(ctx, &line)
             : line.fetch.address ? fetch(ctx, &line)
                                  : twi_import(ctx, line.in, &line.opts, line.out);
    if (st == TW_OK && fflush(stdout) != 0)
        st = twi_fail_errno(ctx, errno, "standard output cannot be written");
    if (st != TW_OK) print_error(st, tw_last_error(ctx));
    tw_ctx_free(ctx);
    return exit_code(st);
}
