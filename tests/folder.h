/* folder.h - a temporary folder of a test program, with drawn photos in it. */
#ifndef FOLDER_H
#define FOLDER_H

#include "pictures.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[256];

/* The path of name in the folder; the last eight stay valid. */
static inline const char *at(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* 0, and the folder is there; word: what it is called after. */
static inline int folder_new(const char *word)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/topwork-%s-XXXXXX", tmp ? tmp : "/tmp", word);
    return mkdtemp(folder) ? 0 : 1;
}

static inline int folder_free(void)
{
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* n photos of stripes that run as kind says, in a new folder name. 0 when all are there. */
static inline int draw_class(const char *name, unsigned kind, unsigned n, uint32_t width,
                             uint32_t height)
{
    unsigned char *rgb = malloc((size_t)width * height * 3);
    int failed = !rgb || mkdir(at(name), 0777) != 0;
    for (unsigned i = 0; i < n && !failed; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s/%02u.png", folder, name, i);
        draw_stripes(rgb, width, height, kind, 100 * kind + i);
        failed = png_write(path, rgb, width, height) != 0;
    }
    free(rgb);
    return failed;
}

#endif
