/* fake.h - the test double of libtopwork: the public header over pictures that are lines of text.
 *
 * It serves to provoke what the real library does rarely: memory running out, cancelling, slow
 * work, odd reports. A "picture" is a file that reads "PIC CLASS PROBABILITY"; one that reads "PIC
 * damaged" is damaged; any other file is no picture. Environment: FAKE_FAIL=tw_model_train:nomem
 * that function fails with that status FAKE_SIGNAL=15                   the process sends itself
 * that signal at the third picture FAKE_SLOW=50                     milliseconds a picture takes */
#ifndef TOPWORK_TESTS_CLI_FAKE_H
#define TOPWORK_TESTS_CLI_FAKE_H

#include "topwork/topwork.h"

#include <stdbool.h>
#include <stdio.h>

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

struct tw_ctx {
    char message[1024];
    size_t threads;
    tw_progress_fn progress;
    void *progress_user;
    tw_log_fn log;
    void *log_user;
};

typedef struct names { /* copies of text */
    char **items;
    size_t n;
} names;
void names_add(names *list, const char *text);
void names_free(names *list);
const char *names_get(const names *list, size_t i);

struct tw_dataset {
    names paths, classes, skipped, reasons;
    uint32_t *labels;
};

struct tw_backbone {
    char name[64];
    size_t classes;
    bool named; /* its classes have names */
};

typedef enum picture_kind { PICTURE, PICTURE_DAMAGED, NOT_A_PICTURE, NOT_READABLE } picture_kind;
picture_kind picture_read(const char *path, char name[256], float *probability);

/* Records the message; returns status. */
tw_status fail(tw_ctx *ctx, tw_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The failure that FAKE_FAIL plans for function, or TW_OK. */
tw_status planned(tw_ctx *ctx, const char *function);

/* A backbone or model file of ours: writes its head; reads past it. */
void head_write(FILE *out);
bool head_read(FILE *in);

tw_status progress(tw_ctx *ctx, const char *stage, size_t done, size_t total, size_t failed);

/* The signal and the pause that the environment asks for at picture i. */
void misbehave(size_t i);

#endif
