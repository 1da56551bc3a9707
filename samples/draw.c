/* draw.c - draw-samples: a class-per-folder set of small pictures to try topwork on without any
 * photo.
 *
 * Five kinds of thing (fish, leaf, mug, mushroom, wheel), each picture its own: place, size, turn,
 * proportions, colours, pattern, background, clutter behind and before it, light, blur and noise.
 * Colours come from the same range for all, so that no class can be told by its mean colour. The
 * same seed gives the same set. */
#include "jpeg_out.h"
#include "scene.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIDE_LEAST ((size_t)144)
#define SIDE_MOST  ((size_t)208)
#define PATH_BYTES 4096

enum { EXIT_USAGE = 2, EXIT_DATA = 3, EXIT_RESOURCE = 5 };

typedef struct job {
    const char *folder;
    unsigned long per_class, seed;
} job;

static const char usage[] =
    "usage: draw-samples [--per-class N] [--seed N] FOLDER\n"
    "Draws N (120) pictures of each of five things into FOLDER/fish, FOLDER/leaf, ... FOLDER must "
    "not\n"
    "exist yet; it appears when the set is complete. The same seed (1) draws the same pictures.\n";

static bool number(const char *text, unsigned long most, unsigned long *out)
{
    char *end;
    errno = 0;
    *out = strtoul(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *out <= most;
}

static bool job_read(int argc, char **argv, job *out)
{
    *out = (job){.per_class = 120, .seed = 1};
    for (int i = 1; i < argc; i++) {
        const bool more = i + 1 < argc;
        if (strcmp(argv[i], "--per-class") == 0 && more) {
            if (!number(argv[++i], 100000, &out->per_class)) return false;
        } else if (strcmp(argv[i], "--seed") == 0 && more) {
            if (!number(argv[++i], UINT32_MAX, &out->seed)) return false;
        } else if (argv[i][0] == '-' || out->folder) {
            return false;
        } else {
            out->folder = argv[i];
        }
    }
    return out->folder != NULL && strlen(out->folder) < PATH_BYTES - 100;
}

/* One picture; its dice depend on nothing but seed, class and number. */
static bool picture_draw(const job *j, size_t class, unsigned long number_in_class,
                         const char *path, colour *pixels, unsigned char *bytes)
{
    dice d = {(uint64_t)j->seed << 32 ^ (uint64_t) class << 24 ^ number_in_class};
    d.state = dice_word(&d); /* near seeds, far states */
    canvas c = {SIDE_LEAST + dice_below(&d, SIDE_MOST - SIDE_LEAST + 1),
                SIDE_LEAST + dice_below(&d, SIDE_MOST - SIDE_LEAST + 1), pixels};
    scene_draw(&shapes[class], &d, &c, pixels + SIDE_MOST * SIDE_MOST, bytes);
    char why[200] = "";
    const int quality = 70 + (int)dice_below(&d, 26);
    if (jpeg_write(path, bytes, c.width, c.height, quality, why)) return true;
    fprintf(stderr, "draw-samples: %s: %s\n", path, why);
    return false;
}

static bool folder_make(const char *path)
{
    if (mkdir(path, 0777) == 0) return true;
    fprintf(stderr, "draw-samples: %s: %s\n", path, strerror(errno));
    return false;
}

static bool class_draw(const job *j, size_t class, const char *folder, colour *pixels,
                       unsigned char *bytes)
{
    char path[2 * PATH_BYTES];
    const char *name = shapes[class].name;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!folder_make(path)) return false;
    for (unsigned long i = 0; i < j->per_class; i++) {
        snprintf(path, sizeof path, "%s/%s/%s_%03lu.jpg", folder, name, name, i);
        if (!picture_draw(j, class, i, path, pixels, bytes)) return false;
    }
    return true;
}

/* One child a class: pictures do not depend on each other, and each child has scratch memory of its
 * own. */
static bool set_draw(const job *j, const char *folder, colour *pixels, unsigned char *bytes)
{
    if (!folder_make(folder)) return false;
    bool ok = true;
    size_t started = 0;
    for (; started < n_shapes && ok; started++) {
        const pid_t child = fork();
        if (child == 0) _exit(class_draw(j, started, folder, pixels, bytes) ? 0 : EXIT_RESOURCE);
        if (child < 0) {
            fprintf(stderr, "draw-samples: %s\n", strerror(errno));
            ok = false;
            break;
        }
    }
    for (int status; started > 0; started--) ok = wait(&status) > 0 && status == 0 && ok;
    return ok;
}

int main(int argc, char **argv)
{
    job j;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) return fputs(usage, stdout) < 0;
    if (!job_read(argc, argv, &j)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    struct stat info;
    if (lstat(j.folder, &info) == 0) {
        fprintf(stderr, "draw-samples: %s is already there\n", j.folder);
        return EXIT_DATA;
    }
    /* Drawn beside the final name and renamed: a set that is there is complete. */
    char unfinished[PATH_BYTES + 32];
    snprintf(unfinished, sizeof unfinished, "%s.%ld-unfinished", j.folder, (long)getpid());
    colour *pixels = calloc(2 * SIDE_MOST * SIDE_MOST, sizeof *pixels);
    unsigned char *bytes = malloc(SIDE_MOST * SIDE_MOST * 3);
    bool ok = pixels && bytes;
    if (!ok) fprintf(stderr, "draw-samples: no memory\n");
    ok = ok && set_draw(&j, unfinished, pixels, bytes);
    if (ok && rename(unfinished, j.folder) != 0) {
        fprintf(stderr, "draw-samples: %s: %s\n", j.folder, strerror(errno));
        ok = false;
    }
    if (ok) printf("%zu pictures in %s\n", n_shapes * (size_t)j.per_class, j.folder);
    free(pixels);
    free(bytes);
    return ok ? 0 : EXIT_RESOURCE;
}
