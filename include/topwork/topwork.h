/* clang-format off */
/* topwork.h - image classification by transfer learning: the whole public API.
 *
 *   errors     Fallible calls return tw_status (0 is TW_OK); tw_last_error(ctx) says why, in words:
 *              what was found and what was allowed. Outputs are set only on TW_OK unless the comment
 *              says otherwise. Any fallible call may also return TW_ERR_NOMEM, and a long one
 *              TW_ERR_CANCELLED; comments name the others.
 *   ownership  _new, _open, _train, _evaluate and _load make a handle; release it with its _free (NULL
 *              is fine). Returned const pointers are borrowed from their handle and live as long as
 *              it does. A handle made from another says when that one must outlive it.
 *   options    Start an options struct with its _init function, then change fields; NULL options mean
 *              the defaults. size_bytes lets the struct grow without breaking you.
 *   shapes     Row-major, written [n, d]. Counts are of elements, not bytes, unless the name ends in
 *              _bytes. Times are in seconds.
 *   threads    A tw_ctx belongs to one thread at a time. const handles may be shared by any number of
 *              threads, each with its own tw_ctx. The engine uses OpenMP: do not fork() after the
 *              first feature has been computed and go on using topwork in the child.
 *   process    No mutable globals; never prints, exits, touches the locale or installs a signal
 *              handler. Importing and pulling start child processes and wait for them; nothing else
 *              touches the network.
 *   text       Paths are bytes as the file system has them. In messages and log lines control
 *              characters are escaped as C does it ("\n", "\033"); backslashes stay as they are.
 */
/* clang-format on */
#ifndef TOPWORK_H
#define TOPWORK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TW_API __attribute__((visibility("default")))
#else
#define TW_API
#endif

/* ---- status, context, callbacks ------------------------------------------------------------ */

typedef enum tw_status {
    TW_OK = 0,
    TW_ERR_ARG,         /* the caller broke a rule stated in this header */
    TW_ERR_NOMEM,       /* memory ran out, or a stated cap was met */
    TW_ERR_IO,          /* open, read or write failed */
    TW_ERR_DATA,        /* the pictures or labels given cannot do this job */
    TW_ERR_FORMAT,      /* the bytes are damaged or lie about themselves */
    TW_ERR_UNSUPPORTED, /* sound, but not something this build or machine can do */
    TW_ERR_DIVERGED,    /* training met a number that is not finite */
    TW_ERR_CANCELLED,   /* the progress callback asked to stop */
    TW_ERR_NOT_FOUND    /* no backbone of that name is installed, or can be pulled */
} tw_status;

typedef struct tw_ctx tw_ctx; /* one thread's memory, callbacks and last message */

typedef enum tw_log_level { TW_LOG_INFO = 0, TW_LOG_WARNING = 1 } tw_log_level;

/* A line worth telling somebody; message is borrowed for the call. */
typedef void (*tw_log_fn)(void *user, tw_log_level level, const char *message);

typedef struct tw_progress {
    const char
        *stage;    /* "list", "scan", "features", "look", "near", "choose C", "compare",
                      "curve", "covariance", "components", "fit", "tune", "validate", "import", or, in
                      bytes,    "fetch" and "check", or "wait" (for another process); static */
    size_t done;   /* finished units, <= total */
    size_t total;  /* 0 when not known */
    size_t failed; /* how many of done were skipped */
} tw_progress;

/* Return non-zero to stop the call in progress: it then returns TW_ERR_CANCELLED. Called from the
 * thread that made the call, a few times a second at most. */
typedef int (*tw_progress_fn)(void *user, const tw_progress *progress);

/* Makes a context. A failure here leaves no context to ask: tw_status_name() is all there is. */
TW_API tw_status tw_ctx_new(tw_ctx **out);
TW_API void tw_ctx_free(tw_ctx *ctx); /* after every handle whose calls used it is idle */

/* The last failure of a call on ctx, in words; "" if none; valid until the next call on ctx. */
TW_API const char *tw_last_error(const tw_ctx *ctx);

/* The status as a stable lower-case word, static: "ok", "arg", "nomem", "io", "data", "format",
 * "unsupported", "diverged", "cancelled", "not_found". */
TW_API const char *tw_status_name(tw_status status);

/* threads: one budget for decoding, engine and BLAS; 0 goes back to the default, which is what CPU
 * affinity and the cgroup quota allow. */
TW_API void tw_ctx_set_threads(tw_ctx *ctx, size_t threads);
/* fn NULL: nobody is told. user is handed to fn as it is. A request to stop lasts until the next
 * tw_ctx_set_progress(). */
TW_API void tw_ctx_set_progress(tw_ctx *ctx, tw_progress_fn fn, void *user);
/* fn NULL: log lines are dropped. fn is called from the thread that made the call. */
TW_API void tw_ctx_set_log(tw_ctx *ctx, tw_log_fn fn, void *user);

/* "0.1.0"; static. */
TW_API const char *tw_version(void);

/* An encoded picture, or a whole file, in memory; borrowed. */
typedef struct tw_bytes {
    const void *data;
    size_t size_bytes;
} tw_bytes;

/* ---- data sets ----------------------------------------------------------------------------- */

typedef struct tw_dataset tw_dataset; /* paths, labels, class names, and what was passed over */

typedef enum tw_part {
    TW_PART_NONE = 0,
    TW_PART_TRAIN = 1,
    TW_PART_VAL = 2,
    TW_PART_TEST = 3
} tw_part;

typedef struct tw_dataset_opts {
    size_t size_bytes;
    const char *const *categories; /* [n_categories] class names to keep; NULL: all */
    size_t n_categories;
    int to_measure; /* not to train on: one class is enough, and a training part may lack some */
} tw_dataset_opts;
TW_API void tw_dataset_opts_init(tw_dataset_opts *opts);

/* Reads path: a folder with one sub-folder a class, a folder holding train/ [val/] [test/] of such,
 * or a CSV manifest (path,label[,split][,group]; a header line; paths relative to the manifest).
 * Order and labels are scikit-learn's load_files': classes in byte order, files sorted, then
 * shuffled with seed 0; for a manifest: its own order, classes sorted. Hidden files, sub-folders
 * and files that do not start like a picture are listed as skipped, not loaded. TW_ERR_DATA: not
 * there, no class, one class (unless to_measure), an empty class, the same class twice, a line of
 * the manifest that cannot be read. TW_ERR_IO: a folder or the manifest cannot be read. */
TW_API tw_status tw_dataset_open(tw_ctx *ctx, const char *path, const tw_dataset_opts *opts,
                                 tw_dataset **out);
TW_API void tw_dataset_free(tw_dataset *dataset);
/* How many pictures; below, i counts them from 0. Past the end: NULL, UINT32_MAX, TW_PART_NONE. */
TW_API size_t tw_dataset_count(const tw_dataset *dataset);
TW_API const char *tw_dataset_path(const tw_dataset *dataset, size_t i);
/* The class of picture i, in [0, class_count). */
TW_API uint32_t tw_dataset_label(const tw_dataset *dataset, size_t i);
/* The part that the folder or manifest puts picture i in. */
TW_API tw_part tw_dataset_part(const tw_dataset *dataset, size_t i);
/* The group of picture i as the manifest's column "group" has it: photos of one group (one animal,
 * one scene) can be kept on one side of a split. NULL: there is no such column, or past the end. */
TW_API const char *tw_dataset_group(const tw_dataset *dataset, size_t i);
TW_API size_t tw_dataset_class_count(const tw_dataset *dataset);
TW_API const char *tw_dataset_class_name(const tw_dataset *dataset,
                                         size_t k); /* NULL past the end */
/* What was passed over, and why. NULL past the end. */
TW_API size_t tw_dataset_skipped_count(const tw_dataset *dataset);
TW_API const char *tw_dataset_skipped_path(const tw_dataset *dataset, size_t i);
TW_API const char *tw_dataset_skipped_reason(const tw_dataset *dataset, size_t i);

/* ---- backbones ----------------------------------------------------------------------------- */

typedef struct tw_backbone tw_backbone; /* a frozen network, its weights and its recipe */

/* name_or_path: a path when it has a '/' or ends in ".tw"; else a name looked up in
 * $TOPWORK_BACKBONES, the user's data folder, beside the executable and in the build tree.
 * TW_ERR_NOT_FOUND: the message lists what is installed and, for a published network, its address,
 * hash and the command that installs it, in several lines. TW_ERR_IO: the file cannot be read.
 * TW_ERR_FORMAT: damaged (the digest is checked). TW_ERR_UNSUPPORTED: of a later format. The file
 * may be a model: then it is the backbone inside it, fine-tuned perhaps, with that model's recipe.
 */
TW_API tw_status tw_backbone_open(tw_ctx *ctx, const char *name_or_path, tw_backbone **out);
TW_API void tw_backbone_free(tw_backbone *backbone);
TW_API const char *tw_backbone_name(const tw_backbone *backbone);     /* "sapling" */
TW_API const char *tw_backbone_digest(const tw_backbone *backbone);   /* "sha256:..." of the file */
TW_API size_t tw_backbone_parameters(const tw_backbone *backbone);    /* learned weights */
TW_API size_t tw_backbone_feature_count(const tw_backbone *backbone); /* d with average pooling */
TW_API size_t
tw_backbone_class_count(const tw_backbone *backbone); /* of its own classifier; 0: none */
/* The name of class k of its own classifier, NULL when the file carries no names. */
TW_API const char *tw_backbone_class_name(const tw_backbone *backbone, size_t k);
/* Input size the recipe makes: *height, *width. */
TW_API void tw_backbone_input(const tw_backbone *backbone, size_t *height, size_t *width);
/* The whole JSON document of the file (recipe, graph, origin), fresh memory: release with
 * tw_free(). */
TW_API tw_status tw_backbone_describe(tw_ctx *ctx, const tw_backbone *backbone, char **json);

/* A node of its graph (docs/graph.md), at the recipe's input size. Borrowed for the call. */
typedef struct tw_graph_node {
    size_t index; /* from 0, the input, on */
    const char *name, *op;
    const size_t *inputs; /* [n_inputs] earlier nodes */
    size_t n_inputs;
    size_t rank, dims[3]; /* 3: [channels, height, width]; 2: [tokens, features]; 1: [features] */
    size_t parameters;    /* numbers in its weights */
    int is_feature;       /* its value is the features, before pooling */
    int is_logits;        /* its value is the scores of the network's own classes */
} tw_graph_node;
typedef void (*tw_graph_fn)(void *user, const tw_graph_node *node);
/* Calls fn for every node, inputs before what uses them. */
TW_API tw_status tw_backbone_graph(tw_ctx *ctx, const tw_backbone *backbone, tw_graph_fn fn,
                                   void *user);

/* Pictures a second on this machine, with default options and the context's threads. again
 * non-zero: measures it now, on drawn pictures of the network's own size, which takes a second or
 * two; the decoding of large photos comes on top. Else: what was measured before, 0 when nothing
 * was. What is measured is kept in the context's cache (tw_ctx_set_cache()); without one nothing
 * is. */
TW_API tw_status tw_backbone_speed(tw_ctx *ctx, const tw_backbone *backbone, int again,
                                   double *photos_per_second);

/* Calls fn for each backbone file found on the search path, in order of lookup; name and path are
 * borrowed. */
typedef void (*tw_backbone_fn)(void *user, const char *name, const char *path);
TW_API tw_status tw_backbone_list(tw_ctx *ctx, tw_backbone_fn fn, void *user);

/* Imports a foreign weight file: starts the separate program topwork-import under memory and time
 * limits, which reads path (Keras HDF5 or .keras, or torchvision-named safetensors, as arch,
 * "vgg16", "sapling", ...; or an ONNX model, arch NULL) and writes the backbone file out_path
 * atomically. opts_json: NULL, or a JSON object with any of "name" (text), "dtype" ("f32" or "f16":
 * how weights are stored), "labels" (path of a file of class names, one a line), "feature" (ONNX:
 * the node or value that is the features; without it what comes before the classifier), "recipe"
 * (an object whose keys replace those of the architecture's recipe). TW_ERR_ARG: an unknown key,
 * architecture or node. TW_ERR_FORMAT: path is damaged or holds other weights. TW_ERR_UNSUPPORTED:
 * it has operators that are not read; all are named. TW_ERR_IO: path cannot be read, or out_path
 * cannot be written: what was there is still there. TW_ERR_NOMEM: the limits on the child's memory
 * or time were met.
 */
TW_API tw_status tw_backbone_import(tw_ctx *ctx, const char *path, const char *arch,
                                    const char *opts_json, const char *out_path);

typedef struct tw_pull_opts {
    size_t size_bytes;
    const char *from;   /* an http: or https: address, or the path of a file; NULL: where name is
                           published */
    const char *sha256; /* 64 hexadecimal digits; NULL: the hash that name is published with */
    const char *arch;   /* as in tw_backbone_import(); NULL: that of the published network */
    const char *import_json; /* as opts_json of tw_backbone_import(), without "name"; NULL: none */
    const char *folder;      /* where NAME.tw goes; NULL: the user's data folder, where names are
                                looked up */
    const char *cache;       /* whose folder "downloads" holds what is on its way; NULL: the user's
                                cache folder */
    int force;               /* also when a backbone of that name is installed */
    size_t max_bytes;        /* refuse a larger file; 0: 4 GiB */
    size_t stall_seconds;    /* a connection that brings under 1,000 bytes/s for so long has failed;
                                0: 30 */
    size_t attempts;         /* how often to try when the trouble may pass; 0: 5 */
} tw_pull_opts;
TW_API void tw_pull_opts_init(tw_pull_opts *opts);

typedef struct tw_pulled { /* what became of it */
    char *path;            /* of the backbone file */
    char *source;          /* where it came from, without a password; NULL: it was installed */
    char sha256[65];       /* of the file as it came, 64 hexadecimal digits; "": it was installed */
    int was_installed;     /* a backbone of that name was there: nothing was done */
    size_t file_bytes;     /* of the file as it came */
    size_t received_bytes; /* of these, over the network and now */
    size_t kept_bytes;     /* of these, left there by an earlier call that was cut off */
} tw_pulled;
TW_API void tw_pulled_free(tw_pulled *pulled);

/* Fetches the weights published under name ("vgg16"; "vgg16+top" has its classifier), checks their
 * hash, imports them and installs NAME.tw atomically. Or, with from, arch and sha256: any weights
 * that tw_backbone_import() reads, called name. What was cut off, cancelled or killed is gone on
 * from by the next call; two calls at once, in any processes, wait for each other. Certificates are
 * verified; proxies come from the environment (https_proxy, http_proxy, all_proxy, no_proxy),
 * certificates other than the system's from SSL_CERT_FILE. opts NULL means the defaults.
 *
 * TW_ERR_NOT_FOUND: name is not published, and arch or from was not given. TW_ERR_ARG: a name that
 * cannot be a file's, no hash to check with, an unknown option. TW_ERR_UNSUPPORTED: the importer
 * does not know the architecture. TW_ERR_IO: the network or the disk, in words; what came is kept.
 * TW_ERR_FORMAT: the wrong hash (what was fetched is removed), a larger file than max_bytes, or
 * weights that cannot be imported. */
TW_API tw_status tw_backbone_pull(tw_ctx *ctx, const char *name, const tw_pull_opts *opts,
                                  tw_pulled **out);

typedef struct tw_published {
    const char *name, *arch;
    const char *address;
    const char *hash;      /* "md5:..." or "sha256:..."; NULL: its publisher states none */
    size_t input;          /* side of the square picture it was trained on */
    size_t features;       /* d with average pooling */
    size_t download_bytes; /* 0: not known before it is asked for */
} tw_published;

/* Calls fn for each network that tw_backbone_pull() takes by its name alone: those whose
 * architecture the importer at hand knows. All is borrowed. Nothing is fetched.
 * TW_ERR_UNSUPPORTED: the importer is not there. */
typedef void (*tw_published_fn)(void *user, const tw_published *published);
TW_API tw_status tw_backbone_published(tw_ctx *ctx, tw_published_fn fn, void *user);

/* ---- cache of features --------------------------------------------------------------------- */

/* Rows of features kept on disk, found again by the photo's bytes and everything else they depend
 * on, whatever the file is called. Any number of processes may share a folder, on a local file
 * system; in one process it is open once. Not to be used in a child after fork(). */
typedef struct tw_cache tw_cache;

typedef struct tw_cache_opts {
    size_t size_bytes;
    const char *folder; /* NULL: $XDG_CACHE_HOME/topwork, else ~/.cache/topwork */
    size_t max_bytes;   /* the rows used longest ago make room; 0: 4 GiB. What the disk has free and
                           half the limit on address space bound it, too */
} tw_cache_opts;
TW_API void tw_cache_opts_init(tw_cache_opts *opts);

/* TW_ERR_IO: the folder cannot be made or used. TW_ERR_FORMAT: what is there is damaged or no
 * cache; it is left alone. TW_ERR_ARG: open in this process already, or a size below 1 MiB. */
TW_API tw_status tw_cache_open(tw_ctx *ctx, const tw_cache_opts *opts, tw_cache **out);
/* Writes what waits. After every context that uses it is freed or has another. */
TW_API void tw_cache_free(tw_cache *cache);

/* From now on calls on ctx that extract features look for them in cache and put them there; NULL
 * (the default): none. Trouble with a cache is a warning in the log, never a failure. */
TW_API void tw_ctx_set_cache(tw_ctx *ctx, tw_cache *cache);

typedef struct tw_cache_info {
    const char *folder; /* borrowed from the cache */
    size_t rows;        /* of features */
    size_t files;       /* known by their times, and so not read again */
    size_t used_bytes, limit_bytes;
} tw_cache_info;
TW_API tw_status tw_cache_describe(tw_ctx *ctx, tw_cache *cache, tw_cache_info *out);

/* Removes the cache of folder (NULL: as in tw_cache_opts) from the disk, whatever state it is in;
 * *bytes is what that freed. Nothing there is no error. Files that are not the cache's stay
 * (TW_ERR_IO says so). A process that has it open goes on with its own copy. */
TW_API tw_status tw_cache_clear(tw_ctx *ctx, const char *folder, size_t *bytes);
/* Removes what tw_backbone_pull() has left of downloads in the same folder, which a later pull
 * would have gone on from; *bytes is what that freed. What another process is fetching stays, and
 * so do files that no pull has made. */
TW_API tw_status tw_downloads_clear(tw_ctx *ctx, const char *folder, size_t *bytes);

/* ---- features ------------------------------------------------------------------------------ */

typedef enum tw_precision {
    TW_PRECISION_AUTO = 0,
    TW_PRECISION_F32 = 1,
    TW_PRECISION_BF16 = 2,
    TW_PRECISION_INT8 = 3 /* of a calibrated backbone: tw_backbone_calibrate() */
} tw_precision;
/* DEFAULT: average, and none with the reference recipe. NONE: flattened in NHWC order. */
typedef enum tw_pooling {
    TW_POOLING_DEFAULT = 0,
    TW_POOLING_AVG = 1,
    TW_POOLING_MAX = 2,
    TW_POOLING_NONE = 3
} tw_pooling;

typedef struct tw_extract_opts {
    size_t size_bytes;
    tw_precision precision; /* AUTO: the fastest whose features stay within cosine 0.999 of f32; f32
                               with the reference recipe */
    tw_pooling pooling;
    size_t batch;         /* engine batch; 0: chosen for this machine */
    int reference_recipe; /* do to the letter what the well-known Python script does */
    int classifier;       /* outputs are the network's own class probabilities, not features */
    int strict;           /* the first unreadable picture ends the call */
    int fast_decode; /* let JPEG decode at a reduced size; changes pixels, recorded in the recipe */
    const char *geometry; /* NULL: the recipe's; "squash", "crop" or "letterbox" */
    const char *resize;   /* NULL: the recipe's; "nearest", "box", "bilinear", "hamming", "bicubic",
                             "lanczos" or "skimage" */
    size_t input_size;    /* 0: the recipe's; else the side of the square input in pixels */
    size_t max_pixels;    /* pictures larger than this are refused; 0: 178,956,970 (Pillow's) */
    size_t input_width;   /* 0: the input is square; else its width, and input_size its height */
    /* Several views of each picture, whose features are averaged: docs/views.md. */
    const char *views; /* NULL: the recipe's own; "1", "flip" (with its mirror image), "5" (corners
                          and centre), "10" (these and those of the mirror image) */
    size_t patch_height, patch_width; /* 0: none; else patches of the resized picture are its views
                                         (scikit-learn's extract_patches_2d()), views NULL or "1" */
    double max_patches;               /* 0: all; below 1: that share of all; else a whole number */
    uint32_t patch_seed;              /* of which; the same for every picture */
    const char *const *layers; /* [n_layers] names of nodes (tw_backbone_graph()) whose values, each
                                  pooled, are the features, one after the other */
    size_t n_layers;           /* 0: the backbone's own features; at most 64 */
} tw_extract_opts;
TW_API void tw_extract_opts_init(tw_extract_opts *opts);

typedef struct tw_extractor
    tw_extractor; /* a backbone compiled for this machine; mutable: one thread */

/* Prepares backbone, which must outlive the extractor. TW_ERR_ARG: an option out of its range, an
 * unknown word, an unknown layer (the message lists the nearest names), or an input too small for
 * the network. TW_ERR_UNSUPPORTED: a precision that this machine lacks, probabilities of a backbone
 * without a classifier, or an input size that the network's graph was not made for. */
TW_API tw_status tw_extractor_new(tw_ctx *ctx, const tw_backbone *backbone,
                                  const tw_extract_opts *opts, tw_extractor **out);
TW_API void tw_extractor_free(tw_extractor *extractor);
TW_API size_t tw_extractor_feature_count(const tw_extractor *extractor);   /* d */
TW_API tw_precision tw_extractor_precision(const tw_extractor *extractor); /* what AUTO chose */

/* The path of picture i, or NULL when there are no more. Called once for each i = 0, 1, 2, ... from
 * one thread at a time; the pointer must stay valid until the row function has been called for i.
 */
typedef const char *(*tw_path_fn)(void *user, size_t i);

/* How close 8 bits come, measured on other pictures than those that ranges were taken from. */
typedef struct tw_calibration {
    size_t watched, measured;         /* pictures */
    double cosine_mean, cosine_least; /* between features in int8 and in f32, of one picture */
} tw_calibration;

/* Makes backbone ready for TW_PRECISION_INT8: runs every other one of at most n pictures in f32 to
 * see what range each layer's values have, then the rest in both to measure the distance. Weights
 * stay as they are; layers whose ranges are known compute with 8-bit weights (a scale each output
 * channel) and activations (a scale each layer). opts (NULL: defaults): how pictures become input.
 * Unreadable pictures are passed over. TW_ERR_DATA: none could be read, or the mean cosine is below
 * 0.98; backbone is then what it was. TW_ERR_UNSUPPORTED: this machine has no AVX512-VNNI. No
 * extractor of backbone may exist. out may be NULL. */
TW_API tw_status tw_backbone_calibrate(tw_ctx *ctx, tw_backbone *backbone,
                                       const tw_extract_opts *opts, tw_path_fn next, void *user,
                                       size_t n, tw_calibration *out);
/* The same on 64 pictures of dataset, evenly spaced. */
TW_API tw_status tw_backbone_calibrate_dataset(tw_ctx *ctx, tw_backbone *backbone,
                                               const tw_extract_opts *opts,
                                               const tw_dataset *dataset, tw_calibration *out);
TW_API int tw_backbone_calibrated(const tw_backbone *backbone); /* ranges are known */
/* Writes backbone, calibration and all, to path, atomically. */
TW_API tw_status tw_backbone_save(tw_ctx *ctx, const tw_backbone *backbone, const char *path);

/* One row, in the order of the pictures given. status TW_OK: features [d], borrowed for the call.
 * Otherwise features is NULL and message says why this picture could not be read;
 * TW_ERR_UNSUPPORTED: it is no picture, or of a kind this build cannot read. Return non-zero to
 * stop (TW_ERR_CANCELLED). Called from the thread that made the call; the same ctx must not be used
 * inside. */
typedef int (*tw_row_fn)(void *user, size_t i, tw_status status, const char *message,
                         const float *features);

/* Runs pictures through decode threads and engine batches; memory does not grow with their number.
 * total: for progress only, 0 when unknown. A bad picture is a row with a message, unless
 * opts.strict: then its status ends the call. */
TW_API tw_status tw_extract_paths(tw_ctx *ctx, tw_extractor *extractor, tw_path_fn next,
                                  size_t total, tw_row_fn row, void *user);

/* The same for pictures in memory: images [n] -> features [n, d], the caller's; feature_count must
 * be n * d (TW_ERR_ARG). One bad picture fails the call with its status, the message gives its
 * index and the rows before it are written. */
TW_API tw_status tw_extract_bytes(tw_ctx *ctx, tw_extractor *extractor, const tw_bytes *images,
                                  size_t n, float *features, size_t feature_count);

/* Extracts a data set to a .npy file [rows, d] float32, written as it is made and atomically
 * replaced. Skipped pictures leave no row but a log line; rows_kept (may be NULL) [dataset count]
 * gets 1 or 0 for each picture of the data set, rows (may be NULL) their number. TW_ERR_DATA: no
 * picture could be read. TW_ERR_IO: path cannot be written; what was there is still there. */
TW_API tw_status tw_extract_npy(tw_ctx *ctx, tw_extractor *extractor, const tw_dataset *dataset,
                                const char *path, unsigned char *rows_kept, size_t *rows);

/* ---- heads --------------------------------------------------------------------------------- */

#define TW_AUTO       (-1.0) /* chosen by cross-validation on the training part */
#define TW_HIDDEN_MAX 8

/* A head and the steps before it. Words and defaults are scikit-learn's; 0 and NULL mean the
 * default. An option that the kind does not have must be left alone (TW_ERR_ARG). */
typedef struct tw_head_opts {
    size_t size_bytes;
    const char *kind; /* NULL: "logistic-regression"; "linear-svm", "svm-rbf", "mlp", "ridge",
                         "knn", "nearest-centroid" */
    uint32_t seed;    /* of whatever is random: MLP's start and order, folds of the calibration.
                         Default 42 */
    int balanced;     /* class_weight='balanced': logistic-regression, the SVMs, ridge */
    size_t max_iter; /* iterations, or epochs of the MLP; 0: 1000, MLP 200, svm-rbf without limit */
    double tol;      /* 0: 1e-4, svm-rbf 1e-3 */
    double C; /* logistic-regression, the SVMs: inverse strength of the penalty; 0: 1; TW_AUTO */
    const char *penalty; /* logistic-regression: "l2" (NULL), "l1" or "elasticnet" */
    double l1_ratio;     /* of "elasticnet": share of the L1 part, in [0, 1] */
    const char *loss;    /* linear-svm: "squared_hinge" (NULL) or "hinge" */
    double gamma;        /* svm-rbf: of exp(-gamma |a - b|^2); 0: "scale", 1 / (d var(x)); TW_AUTO:
                            scikit-learn's "auto", 1 / d */
    double alpha;        /* ridge: 0: 1.0, TW_AUTO; mlp: L2 penalty, 0: 1e-4 */
    size_t hidden[TW_HIDDEN_MAX]; /* mlp: units of each hidden layer */
    size_t n_hidden;              /* mlp: 0: one layer of 100 */
    double learning_rate;         /* mlp: learning_rate_init; 0: 1e-3 */
    size_t batch_size;            /* mlp: 0: min(200, n) */
    int early_stopping;           /* mlp */
    size_t n_iter_no_change;      /* mlp: 0: 10 */
    size_t neighbors;             /* knn: 0: 5 */
    const char *metric;           /* knn: "euclidean" (NULL) or "cosine" */
    const char *weights;          /* knn: "uniform" (NULL) or "distance" */
    /* The steps before the head, in this order. */
    int no_standardise;     /* leave StandardScaler out */
    size_t pca;             /* PCA(n_components); 0: none */
    int normalise;          /* Normalizer: each row to length 1 */
    const char *calibrate;  /* NULL: "sigmoid" (Platt) where the head has no probabilities of its
                               own,  else "none"; "isotonic" */
    size_t calibrate_folds; /* 0: 5 */
} tw_head_opts;
TW_API void tw_head_opts_init(tw_head_opts *opts);

/* ---- classifiers of any features ------------------------------------------------------------- */

/* Labelled features, from anywhere; borrowed for the call. */
typedef struct tw_samples {
    const float *x;    /* [n, d], finite */
    const uint32_t *y; /* [n] the class of each row, in [0, k); every class has one at least */
    size_t n, d, k;    /* k >= 2 */
} tw_samples;

/* Steps, head and calibration fitted on samples; immutable, in memory only. A model is one with a
 * backbone in front. */
typedef struct tw_classifier tw_classifier;

/* opts NULL: tw_head_opts_init()'s. TW_AUTO for C or alpha: 5-fold cross-validation chooses. It
 * borrows nothing. TW_ERR_ARG: an option out of its range or none of this head's. TW_ERR_DATA: too
 * few samples for what is asked, a class without one, a feature that is not finite. */
TW_API tw_status tw_classifier_train(tw_ctx *ctx, const tw_samples *samples,
                                     const tw_head_opts *opts, tw_classifier **out);
TW_API void tw_classifier_free(tw_classifier *classifier);
TW_API size_t tw_classifier_class_count(const tw_classifier *classifier);
TW_API size_t tw_classifier_feature_count(const tw_classifier *classifier);
/* x [n, d] -> prob [n, k] and label [n], the caller's; either may be NULL. Probabilities of a head
 * that has none and is not calibrated only order the classes. */
TW_API tw_status tw_classifier_predict(tw_ctx *ctx, const tw_classifier *classifier, const float *x,
                                       size_t n, float *prob, uint32_t *label);

/* scikit-learn's cross_val_score: accuracy [repeats * folds] of classifiers fitted on the other
 * folds, StratifiedKFold(folds, shuffle=True, random_state=seed), or RepeatedStratifiedKFold.
 * groups: NULL, or [n] numbers of groups in [0, n), for GroupKFold (repeats is then 1).
 * TW_ERR_ARG: folds below 2, repeats 0. TW_ERR_DATA: too few samples or groups for the folds. */
TW_API tw_status tw_cross_validate(tw_ctx *ctx, const tw_samples *samples, const tw_head_opts *opts,
                                   size_t folds, size_t repeats, uint32_t seed,
                                   const uint32_t *groups, double *accuracy);

/* ---- models -------------------------------------------------------------------------------- */

typedef struct tw_model tw_model; /* backbone, recipe, scaler, head, classes and how it was made */
typedef struct tw_report tw_report; /* what an evaluation (or the test part of a training) found */

typedef enum tw_tristate { TW_DEFAULT = -1, TW_NO = 0, TW_YES = 1 } tw_tristate;

typedef struct tw_train_opts {
    size_t size_bytes;
    tw_extract_opts extract;
    const char *backbone; /* NULL: "sapling", or "vgg16" with the reference recipe */
    double test_size; /* < 1: share of photos, ceil(test_size * n); >= 1: a number. Default 0.2 */
    uint32_t seed;    /* of the split and the folds. Default 42 */
    tw_tristate stratify; /* default: yes, and no with the reference recipe */
    int groups;        /* photos of one group (tw_dataset_group()) stay on one side of the split */
    tw_head_opts head; /* C of logistic-regression: 0 means TW_AUTO here; with the reference
                          recipe 1, and max_iter 100 */
    int refit_all;     /* after measuring, fit once more on training and test part together */
    double reject;     /* share, in (0, 1), of photos like the training part's to accept; what is
                          less familiar is unknown. 0 (default): every photo is of a class */
} tw_train_opts;
TW_API void tw_train_opts_init(tw_train_opts *opts);

/* The whole line: split, features, scaler, head, measurement on the held-out part. report may be
 * NULL. Neither handle borrows from dataset. Fails as tw_backbone_open() and tw_extractor_new() do,
 * and: TW_ERR_ARG: an option out of its range. TW_ERR_DATA: the split cannot be made, or a class
 * has no readable picture to train on. TW_ERR_IO: no room for the features in $TMPDIR.
 * TW_ERR_DIVERGED: a feature or the loss is not finite. */
TW_API tw_status tw_model_train(tw_ctx *ctx, const tw_dataset *dataset, const tw_train_opts *opts,
                                tw_model **out, tw_report **report);
/* Trains the model in the file at path on, with the photos of more: its own photos come from the
 * cache of ctx (or from more, where they are among its photos), stay in the part they were in, and
 * more's new ones are divided by test_size and seed of opts; the rest is as the model was trained.
 * New classes are added. The result is that of training from nothing on this division. Besides what
 * tw_model_open() and tw_model_train() say: TW_ERR_DATA: photos of the model that are neither in
 * the cache nor in more, or one that has another label there. The file is not changed. */
TW_API tw_status tw_model_update(tw_ctx *ctx, const char *path, const tw_dataset *more,
                                 const tw_train_opts *opts, tw_model **out, tw_report **report);

/* Writes one self-contained file, atomically: a valid safetensors file. Same inputs, same machine:
 * same bytes. TW_ERR_IO: path cannot be written; what was there is still there. */
TW_API tw_status tw_model_save(tw_ctx *ctx, const tw_model *model, const char *path);
/* TW_ERR_IO: the file cannot be read. TW_ERR_FORMAT: not a topwork model, or damaged (the digest is
 * checked). TW_ERR_UNSUPPORTED: of a later format. A model trained in bf16 runs in f32 where that
 * is missing, and the log says so. */
TW_API tw_status tw_model_open(tw_ctx *ctx, const char *path, tw_model **out);
/* The same from the bytes of such a file, which must stay there as long as the model. name is for
 * messages. */
TW_API tw_status tw_model_open_bytes(tw_ctx *ctx, const char *name, tw_bytes bytes, tw_model **out);
TW_API void tw_model_free(tw_model *model);
TW_API const tw_backbone *tw_model_backbone(const tw_model *model); /* lives in the model */
TW_API size_t tw_model_class_count(const tw_model *model);
TW_API const char *tw_model_class_name(const tw_model *model, size_t k); /* NULL past the end */
/* Everything the model remembers about how it was made, as JSON; release with tw_free(). A name
 * that is not UTF-8 is null in its list, and "<list>_base64" has the bytes of all. */
TW_API tw_status tw_model_describe(tw_ctx *ctx, const tw_model *model, char **json);

/* An extractor with the model's own recipe, pooling and precision; model must outlive it. */
TW_API tw_status tw_model_extractor(tw_ctx *ctx, const tw_model *model, tw_extractor **out);
/* Class probabilities from features: x [n, d] -> prob [n, k], the caller's; each row sums to 1.
 * prob_count must be n * k (TW_ERR_ARG). */
TW_API tw_status tw_model_predict(tw_ctx *ctx, const tw_model *model, const float *x, size_t n,
                                  float *prob, size_t prob_count);
/* 1: the model was trained with tw_train_opts.reject, and can tell photos of none of its classes.
 */
TW_API int tw_model_rejects(const tw_model *model);
/* How alike photos are to those the model was trained on, whatever their class: x [n, d] ->
 * familiarity [n], at most 1 (the mean cosine between a photo's features and the nearest of the
 * training part), and known [n] (may be NULL): 0 where it lies below the model's threshold, else 1.
 * Both are the caller's. TW_ERR_ARG: the model does not reject. TW_ERR_DATA: a feature is not
 * finite. */
TW_API tw_status tw_model_familiarity(tw_ctx *ctx, const tw_model *model, const float *x, size_t n,
                                      double *familiarity, unsigned char *known);
/* Measures model on every picture of dataset, whatever part it is in. out does not borrow from
 * either. TW_ERR_DATA: a class of dataset is none of the model's, or no picture could be read. */
TW_API tw_status tw_model_evaluate(tw_ctx *ctx, const tw_model *model, const tw_dataset *dataset,
                                   tw_report **out);

/* ---- fine-tuning ---------------------------------------------------------------------------- */

/* One pass over the training photos. */
typedef struct tw_epoch {
    size_t epoch, epochs; /* 0: before the first step */
    double loss;          /* mean over the epoch's batches of varied photos; NaN for epoch 0 */
    double val_loss, val_accuracy; /* on the validation part, photos as they are; the loss
                                      calibrated: with all scores multiplied by the one number
                                      that makes it least (Guo et al. 2017) */
    double rate;                   /* the learning rate it ended with */
    double photos_per_second, seconds;
    int best; /* of all so far */
} tw_epoch;
/* Non-zero: stop here, with the best epoch's weights. */
typedef int (*tw_epoch_fn)(void *user, const tw_epoch *epoch);

typedef struct tw_finetune_opts {
    size_t size_bytes;
    const char *backbone; /* NULL: "sapling". A model's file: goes on from its backbone, with its
                             recipe; the head is fitted anew */
    double test_size;     /* these four as in tw_train_opts */
    uint32_t seed;        /* of the split, the order of photos and how they are varied, too */
    tw_tristate stratify;
    int groups;
    tw_precision precision; /* of training; AUTO: bf16 where this machine computes it natively */
    const char *unfreeze;   /* what of the backbone is trained: "all" (NULL), "last-block" (all that
                               works on the smallest maps), "gradual" (that in the first epoch, more
                               with each, all from the middle on), "none", or a number of layers at
                               its end */
    const char *optimiser;  /* "adamw" (NULL) or "sgd" (with Nesterov's momentum) */
    size_t epochs;          /* default 10 */
    size_t patience;        /* epochs without a better one before it ends; 0: none. Default 4 */
    size_t batch;           /* photos a step; default 16, and no more than there are */
    double rate;            /* the highest learning rate; 0: adamw 2e-4, sgd 5e-3; TW_AUTO: found by
                               a short range test, and told to the log */
    double weight_decay; /* of weights, not of biases and norms. Default 0.05; sgd: 1e-4 when < 0 */
    double layer_decay;  /* of rates towards the input, over 12 depths. Default 0.8 */
    double warmup;       /* share of all steps over which the rate rises. Default 0.1 */
    double smoothing;    /* label smoothing. Default 0.05 */
    double mixup;        /* alpha of its beta distribution; 0 (default): none */
    double average;      /* what of the weights' running average stays; 0: none. Default 0.99 */
    int balanced;        /* classes weigh alike, however many photos they have */
    double least_area;   /* of a photo that a random part may have; 1: whole. Default 0.5 */
    int no_mirror;
    double jitter;          /* of brightness, contrast, saturation. Default 0.2 */
    double erase;           /* probability that a part of a photo is erased. Default 0 */
    const char *checkpoint; /* file written after each epoch and when cancelled, and removed at the
                               end; NULL: none */
    int resume;             /* from that file */
    tw_epoch_fn told;       /* may be NULL */
    void *user;
    double checkpoint_minutes; /* the checkpoint is written within an epoch, too, when it is older
                                  than this; 0: not so. Default 5 */
    double rotate;             /* degrees to either side, at most. Default 0 */
    int checkpointing;  /* compute most activations twice instead of keeping them: a third of the
                           memory for the time of a second forward pass; the same bytes in f32 */
    size_t randaugment; /* magnitude, at most 30, of two operations drawn for each photo
                           (Cubuk et al. 2020, as torchvision has it); 0 (default): none */
} tw_finetune_opts;
TW_API void tw_finetune_opts_init(tw_finetune_opts *opts);

/* Trains the backbone itself: split as tw_model_train()'s, a seventh of the training part held back
 * to validate on, a logistic regression on the features of the rest as the first head, then epochs
 * over varied photos, batch norm with its stored statistics. The model has the weights of the epoch
 * that did best on the validation part, or, where none did better than the first head, is the one
 * that tw_model_train() makes, and is then measured on the test part, which nothing saw before. It
 * is a model as any other. The same inputs give the same bytes, also when interrupted and resumed.
 * report may be NULL. Fails as tw_model_train() does. TW_ERR_UNSUPPORTED: a network with operators
 * that cannot be trained. TW_ERR_DIVERGED: the loss is not finite. TW_ERR_FORMAT: a checkpoint of
 * other photos or options.
 */
TW_API tw_status tw_model_finetune(tw_ctx *ctx, const tw_dataset *dataset,
                                   const tw_finetune_opts *opts, tw_model **out,
                                   tw_report **report);

/* Writes a PNG of photos of the training part as tw_model_finetune() with these opts would see
 * them: six, one a row, first as they are, then as seven epochs vary them. Fails as that does, and
 * where one of these photos cannot be read. */
TW_API tw_status tw_finetune_sheet(tw_ctx *ctx, const tw_dataset *dataset,
                                   const tw_finetune_opts *opts, const char *path);

/* ---- training from nothing ----------------------------------------------------------------- */

typedef struct tw_pretrain_opts {
    size_t size_bytes;
    const char
        *arch;    /* "sapling", "resnet18" (NULL), "resnet34", "mobilenet_v2", "squeezenet1_1" */
    double width; /* channels of the first stage (sapling 32, resnet 64 where 0), or how many times
                     the usual number (mobilenet_v2, squeezenet1_1: 1 where 0) */
    size_t side;  /* pixels a side of the pictures the network is made for. Default 64 */
    const char *name;    /* of the backbone; NULL: arch */
    const char *teacher; /* name or path of a backbone or model whose features, averaged, are to be
                            reproduced; NULL: the classes of the data set are learned */
    const char *const *photos; /* [n_photos] paths of photos without labels, where there is no data
                                  set; with a teacher only */
    size_t n_photos;
    double test_size; /* these four as in tw_train_opts */
    uint32_t seed;    /* of weights, of the split, of the order of photos and how they are varied */
    tw_tristate stratify;
    int groups;
    tw_precision precision; /* these as in tw_finetune_opts, but for the defaults */
    const char *optimiser;
    size_t epochs;       /* default 30 */
    size_t patience;     /* default 0: none */
    size_t batch;        /* default 32 */
    double rate;         /* 0: adamw 2e-3, sgd 0.05; TW_AUTO: by a range test */
    double weight_decay; /* default: adamw 0.05, sgd 5e-4 when < 0 */
    double warmup;       /* default 0.1 */
    double smoothing;    /* default 0.1; with a teacher there are no labels to smooth */
    double mixup;        /* default 0. With a teacher: it sees the same blends */
    double average;      /* default 0.99 */
    int balanced;
    double least_area; /* default 0.35 */
    int no_mirror;
    double jitter; /* default 0.2 */
    double erase;
    const char *checkpoint;
    double checkpoint_minutes; /* default 5 */
    int resume;
    tw_epoch_fn told; /* val_accuracy is NaN with a teacher, and val_loss then the share of its
                         features' variance that is not explained */
    void *user;
} tw_pretrain_opts;
TW_API void tw_pretrain_opts_init(tw_pretrain_opts *opts);

typedef struct tw_pretrained {                /* what came of it */
    size_t n_train, n_val, n_test, n_skipped; /* photos; skipped: could not be read */
    tw_epoch best;                            /* the epoch whose weights were kept */
    double test_loss, test_accuracy;          /* NaN: no test part; no classes */
} tw_pretrained;

/* Trains a network from weights drawn at random (by topwork-import, as torchvision draws them) and
 * writes it to out_path, an ordinary backbone: batch norm unfolded with its running statistics, a
 * classifier with the names of its classes unless there was a teacher. Batch norm goes by the
 * statistics of each batch. The split is tw_model_train()'s; a tenth of the training part (of
 * opts->photos) is held back to tell which epoch was best. With a teacher, a linear layer from the
 * features to the teacher's is learned along and left out of the file. Equal inputs give equal
 * bytes, also when interrupted and resumed. dataset NULL: opts->photos. result may be NULL. Fails
 * as tw_model_finetune() does. TW_ERR_ARG: an architecture, width or size that cannot be. */
TW_API tw_status tw_backbone_pretrain(tw_ctx *ctx, const tw_dataset *dataset,
                                      const tw_pretrain_opts *opts, const char *out_path,
                                      tw_pretrained *result);

/* ---- comparing ----------------------------------------------------------------------------- */

typedef struct tw_compare_opts {
    size_t size_bytes;
    tw_extract_opts extract;      /* of all; the lists below replace their fields in turn */
    const char *const *backbones; /* [n_backbones]; none: "sapling" */
    size_t n_backbones;
    const char *const *geometries; /* [n_geometries] */
    size_t n_geometries;
    const char *const *resizes; /* [n_resizes] */
    size_t n_resizes;
    const tw_pooling *poolings; /* [n_poolings] */
    size_t n_poolings;
    const tw_head_opts *heads; /* [n_heads] settings; TW_AUTO as C or alpha stands for all values
                                  that the kind is worth trying with. None: logistic-regression,
                                  linear-svm, svm-rbf and knn so */
    size_t n_heads;
    size_t folds, repeats; /* of the cross-validation; 0: 5 and 1 */
    double test_size;      /* these four as in tw_train_opts */
    uint32_t seed;
    tw_tristate stratify;
    int groups;
    double budget;            /* seconds after which the best so far is taken; 0: none */
    int refit_all;            /* as in tw_train_opts */
    double reject;            /* likewise */
    const char *const *views; /* [n_views] */
    size_t n_views;
} tw_compare_opts;
TW_API void tw_compare_opts_init(tw_compare_opts *opts);

typedef struct tw_comparison tw_comparison; /* all settings that were tried, the best first */

/* One setting. Texts are borrowed from the comparison. */
typedef struct tw_compare_row {
    const char *backbone, *geometry, *resize, *pooling;
    const char *views; /* "1", "flip", "5", "10", or of patches "64x64:10:42" */
    tw_head_opts head;
    size_t feature_count;
    size_t folds;       /* in how many it was tried; a budget may have ended it early */
    double mean;        /* accuracy over them */
    double interval[2]; /* 95 %, by Student's t with the variance corrected for overlapping training
                           parts (Nadeau & Bengio 2003); NaN with one fold */
    double p_value;     /* that it is as good as the first row, over the folds they share: the same
                           correction */
    int tied;           /* p_value >= 0.05: the difference is within the noise */
    int best_of_kind;   /* no other setting of this head over the same features is better */
    double seconds_fit; /* on the whole training part; best_of_kind only, else 0 */
    size_t model_bytes; /* of the file it would make; likewise */
    double photos_per_second; /* of the network on this machine; 0: not known */
} tw_compare_row;

/* Tries every setting over every set of features by cross-validation on the training part, what
 * stands before a head being fitted inside each fold; takes the best, fits it on the training part
 * and measures it once on the test part, which nothing saw before. Features come from the cache of
 * ctx and so do accuracies that an earlier or interrupted comparison found: with a cache it
 * resumes. model and report (either may be NULL) are as of tw_model_train(), and the model
 * remembers how it was chosen. Fails as that does. TW_ERR_DATA: folds that cannot be. */
TW_API tw_status tw_compare(tw_ctx *ctx, const tw_dataset *dataset, const tw_compare_opts *opts,
                            tw_comparison **out, tw_model **model, tw_report **report);
TW_API void tw_comparison_free(tw_comparison *comparison);
TW_API size_t tw_comparison_count(const tw_comparison *comparison);
/* Row i, the best first; zeroes past the end. */
TW_API void tw_comparison_row(const tw_comparison *comparison, size_t i, tw_compare_row *out);
/* 1: the budget ended it before all was tried. */
TW_API int tw_comparison_stopped(const tw_comparison *comparison);

/* ---- learning curves ------------------------------------------------------------------------- */

typedef struct tw_curve tw_curve; /* accuracy after training on few, more, all photos */

typedef struct tw_curve_point {
    size_t per_class;   /* photos of each class trained on; all of a class that has no more */
    size_t n_train;     /* of all classes together */
    size_t draws;       /* of other photos that the mean is over; 1: all there are */
    double mean;        /* accuracy on the test part */
    double interval[2]; /* 95 % over the draws; NaN with one */
} tw_curve_point;

typedef struct tw_curve_summary {
    double gain_last; /* accuracy that the last doubling of the photos brought */
    double gain_next; /* what another may bring, by the trend of the last two */
    int more_helps;   /* the last step is beyond the scatter of the draws and gain_next >= 0.005 */
    size_t n_test;
    const char *head; /* its kind; static */
    double C;         /* or alpha; one for all points, chosen on the whole training part if asked */
} tw_curve_summary;

/* Trains on 1, 2, 5, 10, 20, 50, ... photos a class and on all, draws times (2 to 10000), each time
 * with photos drawn anew by opts->seed, and measures on the test part that tw_model_train() would
 * hold out. Features are made once. Fails as tw_model_train() does. */
TW_API tw_status tw_learning_curve(tw_ctx *ctx, const tw_dataset *dataset,
                                   const tw_train_opts *opts, size_t draws, tw_curve **out);
TW_API void tw_curve_free(tw_curve *curve);
TW_API size_t tw_curve_count(const tw_curve *curve);
TW_API void tw_curve_at(const tw_curve *curve, size_t i,
                        tw_curve_point *out); /* zeroes past the end */
TW_API void tw_curve_sum(const tw_curve *curve, tw_curve_summary *out);

/* ---- auditing ------------------------------------------------------------------------------- */

typedef enum tw_finding_kind {
    TW_FINDING_UNREADABLE = 0,     /* no picture, or damaged; reason says */
    TW_FINDING_DUPLICATE = 1,      /* the same bytes as other */
    TW_FINDING_NEAR_DUPLICATE = 2, /* the same picture as other, encoded anew, resized, cut by up to
                                      a fifth or mirrored; value: cosine of the whitened features */
    TW_FINDING_LABEL = 3,          /* its features speak for other_class; value: the probability of
                                      that by a classifier that has not seen it */
    TW_FINDING_TINY = 4,           /* value: short side in pixels, below 64 */
    TW_FINDING_DARK = 5,           /* value: mean luma of 0..255, below 16 */
    TW_FINDING_BLANK = 6,          /* value: standard deviation of luma, below 6 */
    TW_FINDING_SHAPE = 7,          /* value: long side over short side, above 4 */
    TW_FINDING_FEW = 8,            /* a class; value: its pictures, less than 10 */
    TW_FINDING_RARE = 9 /* a class; value: its pictures, less than a tenth of another's */
} tw_finding_kind;

/* Texts are borrowed from the audit; NULL where they have no meaning. */
typedef struct tw_finding {
    tw_finding_kind kind;
    const char *path; /* relative to the data set, of unreadable ones as it was opened; NULL: a
                         finding about a class */
    const char *class_name;
    tw_part part;      /* TRAIN or TEST as training would divide; NONE: not divided */
    const char *other; /* of duplicates */
    const char *other_class;
    tw_part other_part;
    const char *reason;
    size_t group;      /* of duplicates: all copies of one picture have one number, from 1. All but
                          the first in byte order of paths are found */
    int leak;          /* copies stand in the training part and in the test part */
    int contradiction; /* copies are of different classes */
    double value;
} tw_finding;

typedef struct tw_audit_summary {
    size_t pictures;        /* that could be read */
    size_t n_train, n_test; /* as training would divide them; 0, 0: it could not */
    size_t copy_sets;       /* pictures of which there are copies */
    size_t leaks;           /* of the test part, with a copy in the training part */
    size_t contradictions;  /* copy_sets whose copies are of different classes */
    int labels_checked;
    double accuracy; /* of the classifier that checked them, on pictures it had not seen */
} tw_audit_summary;

typedef struct tw_audit_opts {
    size_t size_bytes;
    tw_extract_opts extract;
    const char *backbone; /* NULL: "sapling" */
    double test_size;     /* these four as in tw_train_opts */
    uint32_t seed;
    tw_tristate stratify;
    int groups;
} tw_audit_opts;
TW_API void tw_audit_opts_init(tw_audit_opts *opts);

typedef struct tw_audit tw_audit; /* findings, in the order of kinds */

/* Looks at every picture of dataset (open it with to_measure: one class is enough) for what would
 * make a training's numbers lie. Changes nothing on disk but the cache of ctx, whose features and
 * looks it uses. Labels are checked by logistic regression, copies of a picture in one fold
 * (confident learning: Northcutt, Jiang & Chuang 2021). How well it finds: docs/audit.md. Fails as
 * tw_backbone_open() and tw_extractor_new() do. TW_ERR_DATA: no picture could be read. */
TW_API tw_status tw_audit_run(tw_ctx *ctx, const tw_dataset *dataset, const tw_audit_opts *opts,
                              tw_audit **out);
TW_API void tw_audit_free(tw_audit *audit);
TW_API size_t tw_audit_count(const tw_audit *audit);
TW_API void tw_audit_finding(const tw_audit *audit, size_t i,
                             tw_finding *out); /* zeroes past the end */
TW_API void tw_audit_sum(const tw_audit *audit, tw_audit_summary *out);

/* ---- reports ------------------------------------------------------------------------------- */

typedef struct tw_class_score {
    double precision, recall, f1; /* zero when not defined, as scikit-learn's zero_division=0 */
    size_t support;               /* true members */
} tw_class_score;

typedef struct tw_summary {
    size_t classes, n_train, n_test, n_skipped;
    size_t n_correct;
    double accuracy;          /* n_correct / n_test */
    double interval[2];       /* Wilson, 95 % */
    double baseline_accuracy; /* always answering the commonest class of the measured part */
    double top_k_accuracy;    /* k = top_k */
    size_t top_k;             /* min(5, classes) */
    const char *head;         /* its kind; static */
    const char *calibration;  /* "none", "sigmoid" or "isotonic"; static */
    double C;                 /* the one used, or alpha; 0: the head has neither */
    int C_chosen;             /* 1: by cross-validation */
    int converged;            /* 0: max_iter ran out */
    size_t iterations;
    tw_precision precision;
    size_t n_int8; /* training with TW_PRECISION_INT8: photos cross-validated on in int8 and in
                      floating point, to see what it costs; else 0 */
    double accuracy_int8, accuracy_float; /* of them */
    size_t feature_count;
    size_t n_leaked; /* of n_test, with a copy among the training part: of the same bytes or, where
                        that is soon found out, nearly the same (tw_audit_run() looks closer). The
                        log warns of them. Training only */
    size_t n_cached; /* pictures whose features came from the cache */
    double seconds_decode, seconds_network;              /* summed over threads; they overlap */
    double seconds_features, seconds_fit, seconds_total; /* wall */
    double photos_per_second;                            /* of the feature phase, wall */
    const char *isa; /* instruction set the engine ran on, in its own words ("avx512_core_amx");
                        borrowed from the report; NULL when not known */
    /* Of a model that rejects; else all zero. */
    double reject;          /* tw_train_opts.reject */
    double reject_expected; /* share the threshold stands for; less than reject where the training
                               part was too small */
    double threshold;       /* a familiarity below it: unknown */
    size_t n_accepted;      /* of n_test */
    size_t n_accepted_correct;
    /* After tw_report_unknown(); else all zero. */
    size_t n_unknown;          /* photos of no class */
    size_t n_unknown_accepted; /* at the model's threshold */
    double unknown_auroc; /* chance that a photo of a class is more familiar than one of none */
    double unknown_accepted_at_95; /* share of them accepted where 95 % of the test photos are */
    size_t views;  /* of each picture, whose features were averaged; 0: as many patches as it has */
    size_t layers; /* that the features come from */
} tw_summary;

TW_API void tw_report_free(tw_report *report);
TW_API void tw_report_summary(const tw_report *report, tw_summary *out);
/* Adds to report how well photos of no class are told from those it was made of: familiarity [n],
 * as tw_model_familiarity() of the same model gives it; takes the place of what was added before.
 * TW_ERR_ARG: n is 0, one is not finite, or the model does not reject. */
TW_API tw_status tw_report_unknown(tw_ctx *ctx, tw_report *report, const double *familiarity,
                                   size_t n);
/* How many pictures of class truth were taken for class predicted; 0 past the end. */
TW_API size_t tw_report_confusion(const tw_report *report, size_t truth, size_t predicted);
/* The scores of class k; all zero past the end. */
TW_API void tw_report_class(const tw_report *report, size_t k, tw_class_score *out);
TW_API const char *tw_report_class_name(const tw_report *report, size_t k);
/* Files of each part, in split order, relative to the data set; TW_PART_TRAIN or TW_PART_TEST. NULL
 * past the end. */
TW_API const char *tw_report_file(const tw_report *report, tw_part part, size_t i);
/* Pictures of the data set that could not be read (what the data set itself passed over stands in
 * its own list, not here). NULL past the end. */
TW_API const char *tw_report_skipped_path(const tw_report *report, size_t i);
TW_API const char *tw_report_skipped_reason(const tw_report *report, size_t i);

/* Releases text handed out as "fresh memory"; NULL is fine. */
TW_API void tw_free(void *p);

#ifdef __cplusplus
}
#endif

#endif
