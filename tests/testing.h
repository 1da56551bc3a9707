/* testing.h - what every test program includes: cmocka, and where the shared data is. */
#ifndef TW_TESTS_TESTING_H
#define TW_TESTS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The path of name under the shared data folder ($TOPWORK_DATA, set by meson to ../shared/data), or
 * a printed reason and skip(). */
static inline const char *shared_data(const char *name)
{
    static char path[4096];
    const char *root = getenv("TOPWORK_DATA");
    snprintf(path, sizeof path, "%s/%s", root ? root : "../shared/data", name);
    if (access(path, R_OK) != 0) {
        printf("SKIPPED: %s is not here (set TOPWORK_DATA to the shared data folder)\n", path);
        skip();
    }
    return path;
}

#endif
