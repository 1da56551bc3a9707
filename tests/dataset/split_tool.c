/* split_tool.c - answers parity.py: one request a line on stdin, one line of indices or fold
 * numbers out. sizes n test_size                        -> n_train n_test split seed n_train n_test
 * n labels...    -> train indices | test indices; no labels: plain folds folds shuffle seed n
 * labels...     -> fold of each sample; again folds repeats seed n labels... -> the same, repeated;
 * group folds n groups... and apart test_size seed n groups... likewise, by groups. A refusal
 * answers "error ". */
#include "dataset/split.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES_MAX 65536

typedef struct request {
    char *at;
    uint32_t labels[SAMPLES_MAX];
    size_t n, n_labels, classes;
} request;

static unsigned long number(request *r)
{
    return strtoul(r->at, &r->at, 10);
}

static void labels_read(request *r)
{
    r->n = number(r);
    r->n_labels = r->classes = 0;
    while (r->n_labels < SAMPLES_MAX) {
        char *end;
        const unsigned long label = strtoul(r->at, &end, 10);
        if (end == r->at) break;
        r->at = end;
        r->labels[r->n_labels++] = (uint32_t)label;
        if (label >= r->classes) r->classes = label + 1;
    }
}

static const uint32_t *labels_of(const request *r)
{
    return r->n_labels ? r->labels : NULL;
}

static void print(const size_t *values, size_t n)
{
    for (size_t i = 0; i < n; i++) printf("%zu ", values[i]);
}

static void answer_sizes(tw_ctx *ctx, request *r)
{
    size_t n_train, n_test;
    r->n = number(r);
    if (twi_split_sizes(ctx, r->n, strtod(r->at, NULL), &n_train, &n_test) != TW_OK)
        printf("error %s", tw_last_error(ctx));
    else
        printf("%zu %zu", n_train, n_test);
}

static void answer_split(tw_ctx *ctx, request *r)
{
    static size_t train[SAMPLES_MAX], test[SAMPLES_MAX];
    const uint32_t seed = (uint32_t)number(r);
    const size_t n_train = number(r), n_test = number(r);
    labels_read(r);
    if (twi_split(ctx, r->n, labels_of(r), r->classes, seed, n_train, n_test, train, test) !=
        TW_OK) {
        printf("error %s", tw_last_error(ctx));
        return;
    }
    print(train, n_train);
    printf("| ");
    print(test, n_test);
}

static void answer_folds(tw_ctx *ctx, request *r)
{
    static uint32_t fold_of[SAMPLES_MAX];
    const size_t folds = number(r);
    const bool shuffle = number(r) != 0;
    const uint32_t seed = (uint32_t)number(r);
    labels_read(r);
    if (twi_folds(ctx, r->n, labels_of(r), r->classes, folds, shuffle, seed, fold_of) != TW_OK) {
        printf("error %s", tw_last_error(ctx));
        return;
    }
    for (size_t i = 0; i < r->n; i++) printf("%u ", (unsigned)fold_of[i]);
}

static void answer_again(tw_ctx *ctx, request *r)
{
    static uint32_t fold_of[4 * SAMPLES_MAX];
    const size_t folds = number(r), repeats = number(r);
    const uint32_t seed = (uint32_t)number(r);
    labels_read(r);
    if (repeats > 4 || twi_folds_repeated(ctx, r->n, labels_of(r), r->classes, folds, repeats, seed,
                                          fold_of) != TW_OK) {
        printf("error %s", tw_last_error(ctx));
        return;
    }
    for (size_t i = 0; i < repeats * r->n; i++) printf("%u ", (unsigned)fold_of[i]);
}

static void answer_group(tw_ctx *ctx, request *r)
{
    static uint32_t fold_of[SAMPLES_MAX];
    const size_t folds = number(r);
    labels_read(r);
    if (twi_folds_grouped(ctx, r->n, r->labels, r->classes, folds, fold_of) != TW_OK) {
        printf("error %s", tw_last_error(ctx));
        return;
    }
    for (size_t i = 0; i < r->n; i++) printf("%u ", (unsigned)fold_of[i]);
}

static void answer_apart(tw_ctx *ctx, request *r)
{
    static size_t train[SAMPLES_MAX], test[SAMPLES_MAX];
    size_t n_train, n_test;
    const double test_size = strtod(r->at, &r->at);
    const uint32_t seed = (uint32_t)number(r);
    labels_read(r);
    if (twi_split_grouped(ctx, r->n, r->labels, r->classes, test_size, seed, train, &n_train, test,
                          &n_test) != TW_OK) {
        printf("error %s", tw_last_error(ctx));
        return;
    }
    print(train, n_train);
    printf("| ");
    print(test, n_test);
}

static void answer_files(tw_ctx *ctx, char *path)
{
    tw_dataset *set;
    path[strcspn(path, "\n")] = '\0';
    if (tw_dataset_open(ctx, path, NULL, &set) != TW_OK) {
        printf("error %s", tw_last_error(ctx));
        return;
    }
    for (size_t i = 0; i < tw_dataset_count(set); i++)
        printf("%u\t%s\t", (unsigned)tw_dataset_label(set, i), tw_dataset_path(set, i));
    tw_dataset_free(set);
}

int main(void)
{
    static char line[SAMPLES_MAX * 8];
    static request r;
    tw_ctx *ctx;
    if (tw_ctx_new(&ctx) != TW_OK) return 1;
    while (fgets(line, sizeof line, stdin)) {
        r.at = line + 6;
        if (strncmp(line, "sizes ", 6) == 0) answer_sizes(ctx, &r);
        if (strncmp(line, "split ", 6) == 0) answer_split(ctx, &r);
        if (strncmp(line, "folds ", 6) == 0) answer_folds(ctx, &r);
        if (strncmp(line, "again ", 6) == 0) answer_again(ctx, &r);
        if (strncmp(line, "group ", 6) == 0) answer_group(ctx, &r);
        if (strncmp(line, "apart ", 6) == 0) answer_apart(ctx, &r);
        if (strncmp(line, "files ", 6) == 0) answer_files(ctx, line + 6);
        putchar('\n');
        fflush(stdout);
    }
    tw_ctx_free(ctx);
    return 0;
}
