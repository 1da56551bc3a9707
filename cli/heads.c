#include "heads.h"

#include <stdlib.h>
#include <string.h>

static int read_layers(session *s, tw_head_opts *head)
{
    const text_list *const hidden = &s->opts.hidden;
    if (hidden->count > TW_HIDDEN_MAX)
        return session_fail_usage(s, "--hidden: %zu layers; at most %d are allowed", hidden->count,
                                  TW_HIDDEN_MAX);
    for (size_t i = 0; i < hidden->count; i++) {
        const char *const text = hidden->items[i];
        char *end;
        const unsigned long units = strtoul(text, &end, 10);
        if (text[strspn(text, "0123456789")] != '\0' || units < 1 || units > 65536)
            return session_fail_usage(s, "--hidden: layer %zu must have 1 to 65536 units", i + 1);
        head->hidden[i] = (size_t)units;
    }
    head->n_hidden = hidden->count;
    return 0;
}

int heads_read(session *s, tw_head_opts *head)
{
    const options *const o = &s->opts;
    tw_head_opts_init(head);
    head->kind = o->head;
    head->seed = (uint32_t)o->seed;
    head->balanced = o->class_weight == CLASS_WEIGHT_BALANCED;
    head->max_iter = o->max_iter;
    head->tol = o->tol;
    head->C = o->C;
    head->penalty = o->penalty;
    head->l1_ratio = o->l1_ratio;
    head->loss = o->loss;
    head->gamma = o->gamma;
    head->alpha = o->alpha;
    head->learning_rate = o->learning_rate;
    head->batch_size = o->batch_size;
    head->early_stopping = o->early_stopping;
    head->n_iter_no_change = o->patience;
    head->neighbors = o->neighbors;
    head->metric = o->metric;
    head->weights = o->weights;
    head->no_standardise = o->no_standardise;
    head->pca = o->pca;
    head->normalise = o->normalise;
    head->calibrate = o->calibrate;
    return read_layers(s, head);
}

static const struct {
    const char *kind, *title, *strength;
} titles[] = {
    {"logistic-regression", "logistic regression", "C"},
    {"linear-svm", "linear support vector machine", "C"},
    {"svm-rbf", "support vector machine with a Gaussian kernel", "C"},
    {"mlp", "multi-layer perceptron", "alpha"},
    {"ridge", "ridge classifier", "alpha"},
    {"knn", "nearest neighbours", "C"},
    {"nearest-centroid", "nearest centroid", "C"},
};

const char *heads_title(const char *kind)
{
    for (size_t i = 0; i < LEN(titles); i++)
        if (strcmp(titles[i].kind, kind) == 0) return titles[i].title;
    return kind;
}

const char *heads_strength(const char *kind)
{
    for (size_t i = 0; i < LEN(titles); i++)
        if (strcmp(titles[i].kind, kind) == 0) return titles[i].strength;
    return "C";
}
