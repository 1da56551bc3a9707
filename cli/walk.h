/* walk.h - the files below a folder, one at a time, in order of name.
 *
 * Held in memory: the names of the folders on the way down, no more; a tree is never collected.
 * Hidden names are passed over. Links are followed; a folder is entered once, known by (device,
 * inode), so that links can make neither a loop nor a flood. */
#ifndef TOPWORK_CLI_WALK_H
#define TOPWORK_CLI_WALK_H

#include <stddef.h>

typedef struct walk walk;

typedef enum walk_result {
    WALK_FILE,  /* path is a regular file, or a link whose target cannot be reached */
    WALK_ERROR, /* path is a folder that cannot be read; error_number says why */
    WALK_END,
    WALK_NOMEM
} walk_result;

/* NULL: no memory. A folder that cannot be opened is the first answer of walk_next(). */
walk *walk_new(const char *folder);
void walk_free(walk *w); /* NULL is fine */

/* *path is borrowed until the next call. */
walk_result walk_next(walk *w, const char **path, int *error_number);

/* Sockets, devices and pipes passed over so far. */
size_t walk_special_count(const walk *w);

#endif
