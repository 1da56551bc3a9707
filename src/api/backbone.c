/* backbone.c - opening backbones: by path, or by name along the search path. */
#include "api/backbone.h"
#include "api/published.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- reading ------------------------------------------------------------------------------- */

/* Sorts the bundle's tensors that start with prefix into weights (named by the graph) and the rest.
 */
static tw_status collect_tensors(tw_ctx *ctx, const twi_bundle *bundle, const char *prefix,
                                 twi_tensors *weights, twi_tensors *extras)
{
    const twi_tensors *all = twi_bundle_tensors(bundle);
    const size_t skip = strlen(prefix);
    for (size_t i = 0; i < all->n; i++) {
        const twi_tensor *t = &all->items[i];
        if (strncmp(t->name, prefix, skip) != 0) continue;
        const bool weight = strcmp(t->name + skip, "labels") != 0;
        const tw_status st = twi_tensors_add(ctx, weight ? weights : extras, t->name + skip,
                                             t->dtype, t->rank, t->dims, t->data, NULL);
        if (st != TW_OK) return st;
    }
    return TW_OK;
}

/* "labels" is one U8 tensor of names, one a line. */
static tw_status read_labels(tw_ctx *ctx, const char *name, tw_backbone *backbone)
{
    const twi_tensor *t = twi_tensors_find(&backbone->extras, "labels");
    if (!t) return TW_OK;
    if (t->dtype != TWI_U8)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: its labels are %s; need U8 text", name,
                        twi_dtype_name(t->dtype));
    tw_status st = twi_strndup(ctx, t->data, t->count, &backbone->labels_text);
    if (st != TW_OK) return st;
    size_t lines = 1;
    for (size_t i = 0; i < t->count; i++) lines += backbone->labels_text[i] == '\n';
    if ((st = twi_zalloc(ctx, lines, &backbone->labels)) != TW_OK) return st;
    for (char *at = backbone->labels_text; at && *at;) {
        backbone->labels[backbone->n_labels++] = at;
        at = strchr(at, '\n');
        if (at) *at++ = '\0';
    }
    return TW_OK;
}

tw_status twi_backbone_read(tw_ctx *ctx, const char *name, const twi_bundle *bundle,
                            const twi_json *document, const char *prefix, tw_backbone **out)
{
    tw_backbone *backbone;
    twi_tensors weights = {0};
    tw_status st = twi_zalloc(ctx, 1, &backbone);
    if (st != TW_OK) return st;
    backbone->document = document;
    const char *given = twi_json_as_text(twi_json_get(document, "name"), "");
    if ((st = twi_strdup(ctx, given, &backbone->name)) != TW_OK) goto done;
    st = twi_recipe_from_json(ctx, name, twi_json_get(document, "recipe"), &backbone->recipe);
    if (st != TW_OK) goto done;
    if ((st = collect_tensors(ctx, bundle, prefix, &weights, &backbone->extras)) != TW_OK)
        goto done;
    if ((st = read_labels(ctx, name, backbone)) != TW_OK) goto done;
    st = twi_network_from_json(ctx, name, twi_json_get(document, "graph"), &weights,
                               &backbone->network);
    if (st != TW_OK) goto done;
    *out = backbone, backbone = NULL; /* handed over */
done:
    twi_tensors_free(&weights);
    tw_backbone_free(backbone);
    return st;
}

tw_status twi_backbone_embedded(tw_ctx *ctx, const char *path, const twi_bundle *bundle,
                                const twi_json *document, tw_backbone **out)
{
    const twi_json *embedded = twi_json_get(document, "backbone");
    const char *digest = twi_json_as_text(twi_json_get(embedded, "digest"), "");
    tw_backbone *backbone;
    if (strlen(digest) >= sizeof backbone->digest)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: the backbone's digest has %zu characters", path,
                        strlen(digest));
    const tw_status st =
        twi_backbone_read(ctx, path, bundle, embedded, TWI_MODEL_BACKBONE_PREFIX, &backbone);
    if (st != TW_OK) return st;
    memcpy(backbone->digest, digest, strlen(digest) + 1);
    *out = backbone;
    return TW_OK;
}

/* The backbone inside a model, which sees photos as that model does. */
static tw_status open_model(tw_ctx *ctx, const char *path, const twi_bundle *bundle,
                            tw_backbone **out)
{
    const twi_json *document = twi_bundle_document(bundle);
    tw_backbone *backbone = NULL;
    tw_status st = twi_backbone_embedded(ctx, path, bundle, document, &backbone);
    if (st == TW_OK)
        st = twi_recipe_from_json(ctx, path, twi_json_get(document, "recipe"), &backbone->recipe);
    if (st == TW_OK) *out = backbone, backbone = NULL; /* handed over */
    tw_backbone_free(backbone);
    return st;
}

static tw_status open_path(tw_ctx *ctx, const char *path, tw_backbone **out)
{
    twi_bundle *bundle = NULL;
    tw_backbone *backbone = NULL;
    tw_status st = twi_bundle_open(ctx, path, NULL, &bundle);
    if (st != TW_OK) return st;
    const twi_json *document = twi_bundle_document(bundle);
    const char *kind = twi_json_as_text(twi_json_get(document, "kind"), "");
    if (strcmp(kind, "model") == 0)
        st = open_model(ctx, path, bundle, &backbone);
    else if (strcmp(kind, "backbone") == 0)
        st = twi_backbone_read(ctx, path, bundle, document, "", &backbone);
    else
        st = twi_fail(ctx, TW_ERR_FORMAT, "%s: holds a %s; a backbone or a model is needed", path,
                      kind);
    if (st != TW_OK) {
        twi_bundle_free(bundle);
        return st;
    }
    backbone->bundle = bundle;
    if (strcmp(kind, "backbone") == 0) {
        memcpy(backbone->digest, "sha256:", 7);
        memcpy(backbone->digest + 7, twi_bundle_digest(bundle), 65);
    }
    *out = backbone;
    return TW_OK;
}

void tw_backbone_free(tw_backbone *backbone)
{
    if (!backbone) return;
    twi_network_free(backbone->network);
    twi_json_free(backbone->own_document);
    twi_tensors_free(&backbone->extras);
    twi_free(backbone->labels);
    twi_free(backbone->labels_text);
    twi_free(backbone->name);
    twi_bundle_free(backbone->bundle);
    twi_free(backbone);
}

/* ---- looking up ---------------------------------------------------------------------------- */

typedef bool (*folder_fn)(void *user, const char *folder);

/* fn(base + rest); true: stop. */
static bool try_folder(twi_text *scratch, const char *base, size_t base_length, const char *rest,
                       folder_fn fn, void *user)
{
    scratch->length = 0;
    twi_text_add_bytes(scratch, base, base_length);
    twi_text_add(scratch, rest);
    return !scratch->failed && fn(user, scratch->text);
}

/* Each folder of a colon-separated list. */
static bool try_list(twi_text *scratch, const char *list, folder_fn fn, void *user)
{
    while (list && *list) {
        const size_t length = strcspn(list, ":");
        if (length > 0 && try_folder(scratch, list, length, "", fn, user)) return true;
        list += length + (list[length] == ':');
    }
    return false;
}

/* Where `meson install` and the build tree put them, seen from the running program. */
static bool try_beside_program(twi_text *scratch, folder_fn fn, void *user)
{
    static const char *const places[] = {"/backbones", "/../backbones",
                                         "/../share/topwork/backbones"};
    char program[4096];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0) return false;
    program[length] = '\0';
    char *slash = strrchr(program, '/');
    if (!slash) return false;
    for (size_t i = 0; i < TWI_LEN(places); i++)
        if (try_folder(scratch, program, (size_t)(slash - program), places[i], fn, user))
            return true;
    return false;
}

tw_status twi_backbone_user_folder(tw_ctx *ctx, char **out)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (data && *data) return twi_asprintf(ctx, out, "%s/topwork/backbones", data);
    if (home && *home) return twi_asprintf(ctx, out, "%s/.local/share/topwork/backbones", home);
    return twi_fail(ctx, TW_ERR_ARG,
                    "no folder for backbones: neither XDG_DATA_HOME nor HOME is set");
}

static bool try_user_folder(folder_fn fn, void *user)
{
    char *folder = NULL;
    const bool stop = twi_backbone_user_folder(NULL, &folder) == TW_OK && fn(user, folder);
    twi_free(folder);
    return stop;
}

tw_status twi_backbone_folders(tw_ctx *ctx, folder_fn fn, void *user)
{
    twi_text scratch = {0};
    if (try_list(&scratch, getenv("TOPWORK_BACKBONES"), fn, user)) goto done;
    if (try_user_folder(fn, user)) goto done;
    if (try_beside_program(&scratch, fn, user)) goto done;
    try_folder(&scratch, TWI_DATADIR, strlen(TWI_DATADIR), "/topwork/backbones", fn, user);
done:;
    const bool failed = scratch.failed;
    twi_text_free(&scratch);
    return failed ? twi_fail(ctx, TW_ERR_NOMEM, "no memory for a path") : TW_OK;
}

typedef struct lookup {
    const char *name;
    twi_text path; /* of the file, once found */
    bool found;
} lookup;

static bool lookup_in(void *user, const char *folder)
{
    lookup *l = user;
    l->path.length = 0;
    twi_text_add(&l->path, folder);
    twi_text_format(&l->path, "/%s.tw", l->name);
    l->found = !l->path.failed && access(l->path.text, F_OK) == 0;
    return l->found;
}

tw_status twi_backbone_find(tw_ctx *ctx, const char *name, char **path)
{
    lookup l = {.name = name};
    *path = NULL;
    tw_status st = twi_backbone_folders(ctx, lookup_in, &l);
    if (st == TW_OK && l.found) st = twi_strdup(ctx, l.path.text, path);
    twi_text_free(&l.path);
    return st;
}

typedef struct listing {
    tw_backbone_fn fn;
    void *user;
    tw_ctx *ctx;
    twi_text path;
    char **seen; /* names already given: the first on the search path wins */
    size_t n_seen, capacity;
    tw_status status;
} listing;

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* byte order, whatever the locale */
}

static int is_backbone_name(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name);
    return length > 3 && entry->d_name[0] != '.' && strcmp(entry->d_name + length - 3, ".tw") == 0;
}

static tw_status list_one(listing *l, const char *folder, const char *file)
{
    char *name;
    tw_status st = twi_strndup(l->ctx, file, strlen(file) - 3, &name);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < l->n_seen; i++) {
        if (strcmp(l->seen[i], name) == 0) {
            twi_free(name);
            return TW_OK;
        }
    }
    if ((st = twi_grow(l->ctx, &l->seen, &l->capacity, l->n_seen + 1)) != TW_OK) {
        twi_free(name);
        return st;
    }
    l->seen[l->n_seen++] = name;
    l->path.length = 0;
    twi_text_add(&l->path, folder);
    twi_text_format(&l->path, "/%s", file);
    if (l->path.failed) return twi_fail(l->ctx, TW_ERR_NOMEM, "no memory for a path");
    l->fn(l->user, name, l->path.text);
    return TW_OK;
}

static bool list_in(void *user, const char *folder)
{
    listing *l = user;
    struct dirent **entries;
    const int n = scandir(folder, &entries, is_backbone_name, by_name);
    for (int i = 0; i < n; i++) {
        if (l->status == TW_OK) l->status = list_one(l, folder, entries[i]->d_name);
        free(entries[i]);
    }
    if (n >= 0) free(entries);
    return l->status != TW_OK;
}

tw_status tw_backbone_list(tw_ctx *ctx, tw_backbone_fn fn, void *user)
{
    listing l = {.fn = fn, .user = user, .ctx = ctx, .status = TW_OK};
    const tw_status st = twi_backbone_folders(ctx, list_in, &l);
    for (size_t i = 0; i < l.n_seen; i++) twi_free(l.seen[i]);
    twi_free(l.seen);
    twi_text_free(&l.path);
    return l.status != TW_OK ? l.status : st;
}

static void add_name(void *user, const char *name, const char *path)
{
    twi_text *names = user;
    (void)path;
    if (names->length > 0) twi_text_add(names, ", ");
    twi_text_escape(names, name);
}

static tw_status not_found(tw_ctx *ctx, const char *name)
{
    twi_text names = {0}, text = {0};
    tw_status st = tw_backbone_list(ctx, add_name, &names);
    if (st != TW_OK) goto done;
    twi_text_add(&text, "backbone ");
    twi_text_escape(&text, name);
    twi_text_add(&text, " is not installed; installed: ");
    twi_text_add(&text, names.length > 0 ? names.text : "none");
    twi_published_explain(ctx, name, &text);
    st = names.failed || text.failed ? twi_fail(ctx, TW_ERR_NOMEM, "no memory for a message")
                                     : twi_fail_lines(ctx, TW_ERR_NOT_FOUND, text.text);
done:
    twi_text_free(&names);
    twi_text_free(&text);
    return st;
}

tw_status tw_backbone_open(tw_ctx *ctx, const char *name_or_path, tw_backbone **out)
{
    const size_t length = strlen(name_or_path);
    const bool ends_tw = length > 3 && strcmp(name_or_path + length - 3, ".tw") == 0;
    if (strchr(name_or_path, '/') || ends_tw) return open_path(ctx, name_or_path, out);
    if (length == 0) return twi_fail(ctx, TW_ERR_ARG, "the backbone's name is empty");
    char *path;
    tw_status st = twi_backbone_find(ctx, name_or_path, &path);
    if (st == TW_OK) st = path ? open_path(ctx, path, out) : not_found(ctx, name_or_path);
    twi_free(path);
    return st;
}

/* ---- asking -------------------------------------------------------------------------------- */

const char *tw_backbone_name(const tw_backbone *backbone)
{
    return backbone->name;
}

const char *tw_backbone_digest(const tw_backbone *backbone)
{
    return backbone->digest;
}

/* Running statistics are not parameters: nobody counts them when they say how large a network is.
 */
static bool is_statistic(const twi_network *network, const twi_tensor *tensor)
{
    for (size_t i = 0; i < network->n; i++) {
        const twi_node *node = &network->nodes[i];
        if (node->op != TWI_OP_BATCH_NORM) continue;
        if (node->params[TWI_PARAM_MEAN] == tensor || node->params[TWI_PARAM_VARIANCE] == tensor)
            return true;
    }
    return false;
}

size_t tw_backbone_parameters(const tw_backbone *backbone)
{
    const twi_network *network = backbone->network;
    size_t count = 0;
    for (size_t i = 0; i < network->weights.n; i++)
        if (!is_statistic(network, &network->weights.items[i]))
            count += network->weights.items[i].count;
    return count;
}

/* The first dimension of node's value: channels of a feature map, length of a vector. 0: no memory.
 */
static size_t first_dim(const tw_backbone *backbone, uint32_t node)
{
    twi_shape *shapes;
    if (node == TWI_NO_NODE || twi_alloc(NULL, backbone->network->n, &shapes) != TW_OK) return 0;
    const tw_status st = twi_network_shapes(NULL, backbone->network, backbone->recipe.height,
                                            backbone->recipe.width, shapes);
    const size_t count = st == TW_OK ? shapes[node].dims[0] : 0;
    twi_free(shapes);
    return count;
}

size_t tw_backbone_feature_count(const tw_backbone *backbone)
{
    return first_dim(backbone, backbone->network->feature);
}

size_t tw_backbone_class_count(const tw_backbone *backbone)
{
    return first_dim(backbone, backbone->network->logits);
}

const char *tw_backbone_class_name(const tw_backbone *backbone, size_t k)
{
    return k < backbone->n_labels ? backbone->labels[k] : NULL;
}

void tw_backbone_input(const tw_backbone *backbone, size_t *height, size_t *width)
{
    *height = backbone->recipe.height;
    *width = backbone->recipe.width;
}

tw_status tw_backbone_describe(tw_ctx *ctx, const tw_backbone *backbone, char **json)
{
    size_t size;
    return twi_json_print(ctx, backbone->document, json, &size);
}
