/* draw.c - draw FOLDER N: a labelled set for the cases, N noisy pictures of stripes in each of
 * three directions. */
#include "pictures.h"

#include <sys/stat.h>

enum { SIDE = 96 };

static int draw_class(const char *folder, const char *name, unsigned kind, unsigned count)
{
    unsigned char rgb[SIDE * SIDE * 3];
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (mkdir(path, 0777) != 0) return 1;
    for (unsigned i = 0; i < count; i++) {
        draw_stripes(rgb, SIDE, SIDE, kind, 17 * i + kind);
        snprintf(path, sizeof path, "%s/%s/%02u.png", folder, name, i);
        if (png_write(path, rgb, SIDE, SIDE) != 0) return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        unsigned kind;
    } classes[] = {{"across", 0}, {"diagonal", 3}, {"down", 1}};
    if (argc != 3 || mkdir(argv[1], 0777) != 0) return 1;
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (draw_class(argv[1], classes[i].name, classes[i].kind, (unsigned)atoi(argv[2])) != 0)
            return 1;
    return 0;
}
