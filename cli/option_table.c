/* option_table.c - the options of every command, once; those of heads and of compare have files of
 * their own. */
#include "options.h"

#include <float.h>
#include <stddef.h>

#define FIELD(member) offsetof(options, member)

static const char *const words_auto[] = {"auto", NULL};
static const char *const words_pooling[] = {"avg", "max", "none",
                                            NULL}; /* tw_pooling, from AVG on */
static const char *const words_precision[] = {"auto", "f32", "bf16", "int8",
                                              NULL}; /* tw_precision */
static const char *const words_recipe[] = {"default", "reference", NULL};
static const char *const words_geometry[] = {"squash", "crop", "letterbox", NULL};
static const char *const words_resize[] = {"nearest", "box",     "bilinear", "hamming",
                                           "bicubic", "lanczos", "skimage",  NULL};
static const char *const words_progress[] = {"auto", "always", "never", NULL};
static const char *const words_dtype[] = {"f32", "f16", NULL};

static const double size_most = 9007199254740992.0; /* 2^53: exact in a double */

static const option table[OPT_COUNT] = {
    [OPT_BACKBONE] = {.name = "backbone",
                      .letter = 'b',
                      .kind = OPTION_TEXT,
                      .value = "NAME|FILE",
                      .field = FIELD(backbone),
                      .fallback = "sapling; vgg16 with --recipe reference",
                      .help = "The pretrained network. FILE (it has a '/' or ends in .tw) is "
                              "opened as it is; NAME is "
                              "looked up as 'topwork backbone list' shows."},
    [OPT_POOLING] = {.name = "pooling",
                     .kind = OPTION_WORD,
                     .words = words_pooling,
                     .field = FIELD(pooling),
                     .fallback = "avg; none with --recipe reference",
                     .help =
                         "How the network's last map becomes a row of features: its average or its "
                         "maximum over positions, or all of it, flattened in NHWC order."},
    [OPT_PRECISION] =
        {.name = "precision",
         .kind = OPTION_WORD,
         .words = words_precision,
         .field = FIELD(precision),
         .fallback = "auto; f32 with --recipe reference",
         .help =
             "Arithmetic of the network. auto takes the fastest that this machine has and that "
             "keeps "
             "the features within cosine 0.999 of f32. int8 is faster still; the network is "
             "calibrated on the photos "
             "first unless it is already, and refused where that costs accuracy. A precision that "
             "the machine lacks is "
             "an error."},
    [OPT_RECIPE] = {.name = "recipe",
                    .kind = OPTION_WORD,
                    .words = words_recipe,
                    .field = FIELD(recipe),
                    .fallback = "default",
                    .help = "reference does to the letter what the well-known Python script does "
                            "(its scaling mistake "
                            "included), so that results can be compared. default does it right."},
    [OPT_GEOMETRY] = {.name = "geometry",
                      .kind = OPTION_NAME,
                      .words = words_geometry,
                      .field = FIELD(geometry),
                      .fallback = "the backbone's own",
                      .help = "How a photo fills the square input: squashed to it, cropped from "
                              "its centre after the "
                              "short side fits, or whole with bars."},
    [OPT_RESIZE] = {.name = "resize",
                    .kind = OPTION_NAME,
                    .words = words_resize,
                    .field = FIELD(resize),
                    .fallback = "the backbone's own",
                    .help =
                        "The resampling filter: Pillow's of that name, or scikit-image's resize."},
    [OPT_FAST_DECODE] =
        {.name = "fast-decode",
         .kind = OPTION_FLAG,
         .field = FIELD(fast_decode),
         .number = 1,
         .help =
             "Decode large JPEG files at a reduced size. Faster; it changes pixels a little, and "
             "the model remembers it."},
    [OPT_MAX_PIXELS] = {.name = "max-pixels",
                        .kind = OPTION_SIZE,
                        .value = "N",
                        .least = 1,
                        .most = size_most,
                        .field = FIELD(max_pixels),
                        .fallback = "178956970",
                        .help = "Refuse pictures that declare more pixels than this."},
    [OPT_CATEGORIES] =
        {.name = "categories",
         .kind = OPTION_LIST,
         .value = "A,B,...",
         .field = FIELD(categories),
         .fallback = "all",
         .help = "Use only these classes. May be given more than once; write '\\,' for a comma in "
                 "a name."},
    [OPT_TEST_SIZE] =
        {.name = "test-size",
         .kind = OPTION_NUMBER,
         .value = "X",
         .least = DBL_MIN,
         .most = size_most,
         .field = FIELD(test_size),
         .fallback = "0.2",
         .help = "What is held out to measure on: below 1 a share of the photos, from 1 on a "
                 "number of them."},
    [OPT_SEED] =
        {.name = "seed",
         .kind = OPTION_SIZE,
         .value = "N",
         .least = 0,
         .most = 4294967295.0,
         .field = FIELD(seed),
         .fallback = "42",
         .help =
             "Seed of the split and of the folds. Splits are scikit-learn's for the same seed."},
    [OPT_STRATIFY] =
        {.name = "stratify",
         .kind = OPTION_FLAG,
         .field = FIELD(stratify),
         .number = 1,
         .help = "Keep the share of every class the same in both parts. This is the default, "
                 "except with --recipe reference."},
    [OPT_NO_STRATIFY] = {.name = "no-stratify",
                         .kind = OPTION_FLAG,
                         .field = FIELD(stratify),
                         .number = 0,
                         .help = "Split without looking at the classes."},
    [OPT_GROUPS] = {.name = "groups",
                    .kind = OPTION_FLAG,
                    .field = FIELD(groups),
                    .number = 1,
                    .help = "Keep photos of one group (the manifest's column group: one animal, "
                            "one scene) on one side of every split."},
    [OPT_REFIT_ALL] =
        {.name = "refit-all",
         .kind = OPTION_FLAG,
         .field = FIELD(refit_all),
         .number = 1,
         .help = "After measuring, fit once more on all photos. The model remembers that the "
                 "figures are of the fit before."},
    [OPT_REJECT] = {.name = "reject",
                    .kind = OPTION_FLAG,
                    .field = FIELD(reject),
                    .number = 1,
                    .help = "Learn how alike the training photos are, too, so that predict answers "
                            "'unknown' for a photo unlike all of them instead of naming a class."},
    [OPT_ACCEPT] = {.name = "accept",
                    .kind = OPTION_NUMBER,
                    .value = "X",
                    .least = 0,
                    .most = 1,
                    .field = FIELD(accept),
                    .fallback = "0.95",
                    .help = "With --reject: the share of photos of the classes that must not be "
                            "taken for unknown. A lower one lets fewer others pass."},
    [OPT_NO_REJECT] =
        {.name = "no-reject",
         .kind = OPTION_FLAG,
         .field = FIELD(no_reject),
         .number = 1,
         .help = "Name the most probable class of every photo, also where the model was trained "
                 "with --reject."},
    [OPT_UNKNOWN] = {.name = "unknown",
                     .kind = OPTION_TEXT,
                     .value = "FOLDER",
                     .field = FIELD(unknown),
                     .help = "Measure as well how the model, trained with --reject, takes the "
                             "photos below FOLDER, which show none of its classes."},
    [OPT_UPDATE] = {.name = "update",
                    .kind = OPTION_TEXT,
                    .value = "MODEL",
                    .field = FIELD(update),
                    .help = "Train this model on: the photos of FOLDER are added to those it was "
                            "trained on, which come from the cache. FOLDER may hold new classes."},
    [OPT_CACHE] = {.name = "cache",
                   .kind = OPTION_TEXT,
                   .value = "DIR",
                   .field = FIELD(cache),
                   .fallback = "$XDG_CACHE_HOME/topwork, else ~/.cache/topwork",
                   .help = "Where features are kept, so that the same photos need not go through "
                           "the same network again."},
    [OPT_NO_CACHE] = {.name = "no-cache",
                      .kind = OPTION_FLAG,
                      .field = FIELD(no_cache),
                      .number = 1,
                      .help = "Neither look for features in the cache nor keep them there."},
    [OPT_CACHE_SIZE] = {.name = "cache-size",
                        .kind = OPTION_BYTES,
                        .value = "SIZE",
                        .least = 1048576,
                        .most = size_most,
                        .field = FIELD(cache_bytes),
                        .fallback = "4G",
                        .help = "Most bytes the cache may take; K, M, G and T are understood. What "
                                "was used longest ago makes room."},
    [OPT_STRICT] = {.name = "strict",
                    .kind = OPTION_FLAG,
                    .field = FIELD(strict),
                    .number = 1,
                    .help = "The first photo that cannot be read ends the work. Otherwise it is "
                            "skipped, and listed."},
    [OPT_FLAT] =
        {.name = "flat",
         .kind = OPTION_FLAG,
         .field = FIELD(flat),
         .number = 1,
         .help = "Take every picture below FOLDER in order of name, without classes or labels. "
                 "This is the default for a folder without sub-folders."},
    [OPT_NUL] = {.name = "null",
                 .letter = '0',
                 .kind = OPTION_FLAG,
                 .field = FIELD(nul),
                 .number = 1,
                 .help = "Names read by '-' end in a NUL byte, not in a line end (find -print0)."},
    [OPT_TOP] = {.name = "top",
                 .letter = 'k',
                 .kind = OPTION_SIZE,
                 .value = "K",
                 .least = 1,
                 .most = 1e6,
                 .field = FIELD(top),
                 .fallback = "1; 5 with --json",
                 .help = "Give the K most probable classes of each photo."},
    [OPT_CSV] =
        {.name = "csv",
         .kind = OPTION_FLAG,
         .field = FIELD(csv),
         .number = 1,
         .help = "Print CSV with a header line (RFC 4180). A photo that could not be read has its "
                 "reason in the column 'error'."},
    [OPT_JSON] =
        {.name = "json",
         .kind = OPTION_FLAG,
         .field = FIELD(json),
         .number = 1,
         .help = "Print one JSON document on standard output and nothing else there. A failure is "
                 "{\"error\":{\"code\":...,\"message\":...}}."},
    [OPT_DOT] = {.name = "dot",
                 .kind = OPTION_FLAG,
                 .field = FIELD(dot),
                 .number = 1,
                 .help = "Print the graph alone, in the language of Graphviz's dot."},
    [OPT_LABELS] = {.name = "labels",
                    .kind = OPTION_TEXT,
                    .value = "FILE",
                    .field = FIELD(labels),
                    .help = "Names of the network's own classes, one a line, in order."},
    [OPT_ARCH] = {.name = "arch",
                  .kind = OPTION_TEXT,
                  .value = "NAME",
                  .field = FIELD(arch),
                  .help = "The architecture whose weights FILE holds, such as vgg16 or "
                          "squeezenet1_1. An unknown "
                          "name is answered with the list of those known."},
    [OPT_FEATURE] = {.name = "feature",
                     .kind = OPTION_TEXT,
                     .value = "NODE",
                     .field = FIELD(feature),
                     .help = "Of an ONNX model: the node or value whose value is the features, "
                             "averaged over its pixels or tokens. Default: what comes before the "
                             "classifier, or an output called features."},
    [OPT_NAME] = {.name = "name",
                  .kind = OPTION_TEXT,
                  .value = "NAME",
                  .field = FIELD(name),
                  .fallback = "the architecture's",
                  .help = "What the backbone calls itself."},
    [OPT_DTYPE] = {.name = "dtype",
                   .kind = OPTION_NAME,
                   .words = words_dtype,
                   .field = FIELD(dtype),
                   .fallback = "f32",
                   .help = "How weights are stored in the backbone file. f16 halves it."},
    [OPT_RECIPE_JSON] =
        {.name = "recipe-json",
         .kind = OPTION_TEXT,
         .value = "JSON",
         .field = FIELD(recipe_json),
         .help =
             "A JSON object whose keys replace those of the architecture's preprocessing recipe "
             "('topwork backbone info' shows one)."},
    [OPT_OUTPUT] = {.name = "output",
                    .letter = 'o',
                    .kind = OPTION_TEXT,
                    .value = "FILE",
                    .field = FIELD(output),
                    .help = "Where to write."},
    [OPT_FROM] = {.name = "from",
                  .kind = OPTION_TEXT,
                  .value = "ADDRESS|FILE",
                  .field = FIELD(from),
                  .fallback = "where the network is published",
                  .help = "Where the weights are: an address (https or http) or a file that is "
                          "here already. Their hash is checked all the same."},
    [OPT_SHA256] = {.name = "sha256",
                    .kind = OPTION_TEXT,
                    .value = "DIGITS",
                    .field = FIELD(sha256),
                    .fallback = "the hash that the network is published with",
                    .help = "The SHA-256 that the file must have, 64 hexadecimal digits."},
    [OPT_TIMEOUT] = {.name = "timeout",
                     .kind = OPTION_SIZE,
                     .value = "SECONDS",
                     .least = 1,
                     .most = 3600,
                     .field = FIELD(timeout),
                     .fallback = "30",
                     .help = "Give up a connection that has brought next to nothing for so long."},
    [OPT_TRIES] = {.name = "tries",
                   .kind = OPTION_SIZE,
                   .value = "N",
                   .least = 1,
                   .most = 100,
                   .field = FIELD(tries),
                   .fallback = "5",
                   .help = "How often to try when the trouble may pass: a connection lost, a busy "
                           "server. Between tries it waits 0.5, 1, 2, ... seconds."},
    [OPT_MEASURE] = {.name = "measure",
                     .kind = OPTION_FLAG,
                     .field = FIELD(measure),
                     .number = 1,
                     .help = "Measure each installed network now, a few seconds each, and keep "
                             "the figures in the cache."},
    [OPT_FORCE] = {.name = "force",
                   .letter = 'f',
                   .kind = OPTION_FLAG,
                   .field = FIELD(force),
                   .number = 1,
                   .help = "Replace an existing output even when topwork did not write it."},
    [OPT_THREADS] =
        {.name = "threads",
         .letter = 't',
         .kind = OPTION_SIZE,
         .value = "N|auto",
         .words = words_auto,
         .least = 1,
         .most = 65536,
         .field = FIELD(threads),
         .fallback = "auto",
         .help = "One budget for decoding, network and linear algebra. auto: what CPU affinity and "
                 "the cgroup quota allow."},
    [OPT_BATCH] = {.name = "batch",
                   .kind = OPTION_SIZE,
                   .value = "N|auto",
                   .words = words_auto,
                   .least = 1,
                   .most = 65536,
                   .field = FIELD(batch),
                   .fallback = "auto",
                   .help = "Photos that go through the network at a time."},
    [OPT_PROGRESS] =
        {.name = "progress",
         .kind = OPTION_WORD,
         .words = words_progress,
         .field = FIELD(progress),
         .fallback = "auto",
         .help = "The progress line on standard error. auto: only when that is a terminal. always, "
                 "elsewhere than on a terminal: a line of its own every few seconds."},
    [OPT_QUIET] =
        {.name = "quiet",
         .letter = 'q',
         .kind = OPTION_FLAG,
         .field = FIELD(quiet),
         .number = 1,
         .help =
             "No notes, no warnings, no summary and no progress on standard error; errors only."},
    [OPT_HELP] = {.name = "help",
                  .letter = 'h',
                  .kind = OPTION_FLAG,
                  .field = FIELD(help),
                  .number = 1,
                  .help = "Show this page."},
};

const option *option_at(option_id id)
{
    if (option_heads[id].name) return &option_heads[id];
    if (option_compare[id].name) return &option_compare[id];
    if (option_finetune[id].name) return &option_finetune[id];
    if (option_views[id].name) return &option_views[id];
    if (option_pretrain[id].name) return &option_pretrain[id];
    return &table[id];
}
