/* options.h - the words of the command line. One table (option_at()) holds every option, so that
 * an option is the same word with the same meaning in every command that takes it. Where compare
 * takes a list of what train takes one of, two rows have one name. */
#ifndef TOPWORK_CLI_OPTIONS_H
#define TOPWORK_CLI_OPTIONS_H

#include "command.h"

#include <stdint.h>

typedef enum option_id {
    OPT_BACKBONE,
    OPT_POOLING,
    OPT_PRECISION,
    OPT_RECIPE,
    OPT_GEOMETRY,
    OPT_RESIZE,
    OPT_INPUT_SIZE,
    OPT_VIEWS,
    OPT_PATCHES,
    OPT_LAYERS,
    OPT_FAST_DECODE,
    OPT_MAX_PIXELS,
    OPT_CATEGORIES,
    OPT_TEST_SIZE,
    OPT_SEED,
    OPT_STRATIFY,
    OPT_NO_STRATIFY,
    OPT_GROUPS,
    OPT_C,
    OPT_CLASS_WEIGHT,
    OPT_MAX_ITER,
    OPT_TOL,
    OPT_HEAD,
    OPT_PENALTY,
    OPT_L1_RATIO,
    OPT_LOSS,
    OPT_GAMMA,
    OPT_ALPHA,
    OPT_HIDDEN,
    OPT_LEARNING_RATE,
    OPT_BATCH_SIZE,
    OPT_EARLY_STOPPING,
    OPT_PATIENCE,
    OPT_NEIGHBORS,
    OPT_METRIC,
    OPT_WEIGHTS,
    OPT_NO_STANDARDISE,
    OPT_PCA,
    OPT_NORMALISE,
    OPT_CALIBRATE,
    OPT_REFIT_ALL,
    OPT_REJECT,
    OPT_ACCEPT,
    OPT_NO_REJECT,
    OPT_UNKNOWN,
    OPT_UPDATE,
    OPT_LEARNING_CURVE,
    OPT_DRAWS,
    OPT_SVG,
    OPT_BACKBONES,
    OPT_GEOMETRIES,
    OPT_RESIZES,
    OPT_POOLINGS,
    OPT_VIEWS_LIST,
    OPT_HEADS,
    OPT_C_LIST,
    OPT_ALPHA_LIST,
    OPT_GAMMA_LIST,
    OPT_NEIGHBORS_LIST,
    OPT_FOLDS,
    OPT_REPEATS,
    OPT_BUDGET,
    OPT_UNFREEZE,
    OPT_OPTIMISER,
    OPT_EPOCHS,
    OPT_TUNE_PATIENCE,
    OPT_TUNE_BATCH,
    OPT_TUNE_PRECISION,
    OPT_LR,
    OPT_WARMUP,
    OPT_WEIGHT_DECAY,
    OPT_LAYER_DECAY,
    OPT_SMOOTHING,
    OPT_MIXUP,
    OPT_EMA,
    OPT_CROP_AREA,
    OPT_NO_MIRROR,
    OPT_JITTER,
    OPT_ERASE,
    OPT_ROTATE,
    OPT_RANDAUGMENT,
    OPT_SHOW_AUGMENT,
    OPT_WIDTH,
    OPT_SIZE,
    OPT_TEACHER,
    OPT_UNLABELLED,
    OPT_CHECKPOINT,
    OPT_CHECKPOINT_EVERY,
    OPT_CHECKPOINTING,
    OPT_RESUME,
    OPT_LOG,
    OPT_CACHE,
    OPT_NO_CACHE,
    OPT_CACHE_SIZE,
    OPT_STRICT,
    OPT_FLAT,
    OPT_NUL,
    OPT_TOP,
    OPT_CSV,
    OPT_JSON,
    OPT_LABELS,
    OPT_ARCH,
    OPT_FEATURE,
    OPT_DOT,
    OPT_NAME,
    OPT_DTYPE,
    OPT_RECIPE_JSON,
    OPT_FROM,
    OPT_SHA256,
    OPT_TIMEOUT,
    OPT_TRIES,
    OPT_MEASURE,
    OPT_OUTPUT,
    OPT_FORCE,
    OPT_THREADS,
    OPT_BATCH,
    OPT_PROGRESS,
    OPT_QUIET,
    OPT_HELP,
    OPT_COUNT
} option_id;

typedef enum option_kind {
    OPTION_FLAG,   /* int field becomes .number */
    OPTION_TEXT,   /* const char *, as given */
    OPTION_LIST,   /* text_list: split at commas ("\," is a comma), repeats add up */
    OPTION_WORD,   /* int: the place in .words */
    OPTION_NAME,   /* const char *: one of .words, as text */
    OPTION_SIZE,   /* size_t in [.least, .most] */
    OPTION_BYTES,  /* the same, and K, M, G or T behind it count in steps of 1024 */
    OPTION_NUMBER, /* double in [.least, .most] */
} option_kind;

typedef struct option {
    const char *name; /* without the dashes */
    char letter;      /* 'o', or 0 */
    option_kind kind;
    const char *value; /* what --help calls it: "N"; NULL for a flag or for the words themselves */
    const char *const *words; /* NULL-ended. Of a number: words that stand for .number, .number - 1,
                                 ..., such as "auto" */
    size_t field;             /* offset in options */
    int number;               /* what a flag sets; of a number: what its first word stands for */
    double least, most;
    const char *fallback; /* the default, in words; NULL: none worth telling */
    const char *help;
} option;

const option *option_at(option_id id);
/* Rows of it; those of other files have no name. */
extern const option option_heads[OPT_COUNT], option_compare[OPT_COUNT], option_finetune[OPT_COUNT],
    option_views[OPT_COUNT], option_pretrain[OPT_COUNT];

enum { RECIPE_DEFAULT = 0, RECIPE_REFERENCE = 1 };
enum { CLASS_WEIGHT_NONE = 0, CLASS_WEIGHT_BALANCED = 1 };
enum { PROGRESS_AUTO = 0, PROGRESS_ALWAYS = 1, PROGRESS_NEVER = 2 };

typedef struct text_list {
    char **items; /* [count], each its own memory */
    size_t count;
} text_list;

typedef struct options {
    bool given[OPT_COUNT]; /* that option stood on the command line */
    int precision, pooling, recipe, class_weight, progress; /* places in the words */
    int stratify;                                           /* a tw_tristate */
    int strict, fast_decode, refit_all, flat, nul, csv, json, dot, force, quiet, help;
    int groups, early_stopping, no_standardise, normalise;
    int reject, no_reject;
    const char *backbone, *geometry, *resize, *output, *labels;
    const char *input_size, *views, *patches;
    text_list layers, views_list;
    const char *arch, *feature, *name, *dtype, *recipe_json;
    const char *from, *sha256;
    size_t timeout, tries;
    int measure;
    const char *cache, *budget, *update, *svg;
    size_t cache_bytes;
    int no_cache;
    const char *head, *penalty, *loss, *metric, *weights, *calibrate;
    double test_size, C, tol, alpha, gamma, l1_ratio, learning_rate;
    size_t seed, max_iter, threads, batch, max_pixels, top;
    size_t pca, neighbors, batch_size, patience;
    double accept;
    const char *unknown;
    size_t folds, repeats, draws;
    size_t epochs, tune_patience;
    double lr, warmup, weight_decay, layer_decay, smoothing, mixup, ema, crop_area, jitter, erase;
    double checkpoint_every, rotate;
    size_t randaugment;
    const char *show_augment;
    int no_mirror, resume, checkpointing;
    double width; /* of a network to train from nothing */
    size_t side;
    const char *teacher;
    int unlabelled;
    const char *unfreeze, *optimiser, *checkpoint, *log;
    int learning_curve;
    text_list categories, hidden;
    text_list backbones, geometries, resizes, poolings, heads; /* what compare tries */
    text_list C_list, alpha_list, gamma_list, neighbors_list;
    char **operands; /* [operand_count], borrowed from argv */
    size_t operand_count;
} options;

void options_init(options *o);
void options_free(options *o);
bool option_given(const options *o, option_id id);

typedef enum parse_result { PARSE_OK, PARSE_USAGE, PARSE_NOMEM } parse_result;

/* Reads argv [argc] for command. Options and operands may be mixed; "--" ends the options; "-" is
 * an operand. PARSE_USAGE: why holds one sentence. With --help nothing else is checked. */
parse_result options_parse(options *o, const command *cmd, int argc, char **argv, char *why,
                           size_t why_size);

/* True when argv asks for --json, whatever else is wrong with it: a usage error must know. */
bool options_want_json(int argc, char **argv);

#endif
