/* torture.h - put before every file of the program (-include): the k-th allocation of its own
 * fails, k from $TORTURE. */
#ifndef TOPWORK_TESTS_CLI_TORTURE_H
#define TOPWORK_TESTS_CLI_TORTURE_H

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool torture_fails(void);

#define malloc(size)        (torture_fails() ? NULL : malloc(size))
#define calloc(count, size) (torture_fails() ? NULL : calloc(count, size))
#define realloc(p, size)    (torture_fails() ? NULL : realloc(p, size))
#define strdup(text)        (torture_fails() ? NULL : strdup(text))
#define strndup(text, size) (torture_fails() ? NULL : strndup(text, size))
#define asprintf(out, ...)  (torture_fails() ? -1 : asprintf(out, __VA_ARGS__))

#endif
