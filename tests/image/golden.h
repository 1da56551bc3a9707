/* golden.h - reads the packs that make_golden.py writes. */
#ifndef TW_TESTS_IMAGE_GOLDEN_H
#define TW_TESTS_IMAGE_GOLDEN_H

#include "../testing.h"

#define GOLDEN_INTEGERS 8

typedef struct golden {
    FILE *file;
    char name[64];
    size_t integers[GOLDEN_INTEGERS];
    double box[4];
    unsigned char *first, *second;
    size_t first_size, second_size;
} golden;

static inline void golden_open(golden *g, const char *pack)
{
    char path[4096];
    const char *folder = getenv("TOPWORK_IMAGE_GOLDEN");
    assert_non_null(folder);
    memset(g, 0, sizeof *g);
    snprintf(path, sizeof path, "%s/%s", folder, pack);
    g->file = fopen(path, "rb");
    assert_non_null(g->file);
}

/* A block of exactly its size, so that a sanitizer sees one byte read too many. */
static inline unsigned char *golden_block(golden *g, size_t size)
{
    unsigned char *const block = malloc(size);
    assert_non_null(block);
    assert_int_equal(fread(block, 1, size, g->file), size);
    return block;
}

/* The next record, or 0 (and everything is released) after the last. */
static inline int golden_next(golden *g)
{
    char line[1024];

    free(g->second);
    g->second = NULL;
    if (!fgets(line, sizeof line, g->file)) {
        free(g->first);
        fclose(g->file);
        return 0;
    }
    char *rest = line;
    snprintf(g->name, sizeof g->name, "%s", strsep(&rest, " "));
    for (size_t n = 0; *rest != ';'; n++) {
        assert_true(n < GOLDEN_INTEGERS);
        g->integers[n] = strtoul(rest, &rest, 10);
        rest += *rest == ' ';
    }
    rest++;
    for (size_t n = 0; rest += *rest == ' ', *rest != ';'; n++) {
        assert_true(n < 4);
        g->box[n] = strtod(rest, &rest);
    }
    const size_t first_size = strtoul(rest + 1, &rest, 10);
    g->second_size = strtoul(rest, NULL, 10);
    if (first_size > 0) {
        free(g->first);
        g->first = golden_block(g, g->first_size = first_size);
    }
    g->second = golden_block(g, g->second_size);
    return 1;
}

#endif
