/* inputs.h - the pictures a command line names: files, folders walked, and names read from standard
 * input.
 *
 * A feed for tw_extract_paths(): the library takes names ahead of the answers, perhaps from another
 * thread; each name is kept until its answer came. Names that wait are all that is held. */
#ifndef TOPWORK_CLI_INPUTS_H
#define TOPWORK_CLI_INPUTS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct inputs inputs;

typedef struct input {
    struct input *next;
    bool walked;       /* found in a folder; else named by somebody */
    const char *error; /* why it cannot be a picture, known before opening it; NULL: open it */
    char path[];
} input;

/* names [count]: as on the command line, borrowed. "-" reads more of them from standard input, each
 * ended by a line end, or by a NUL byte. NULL: no memory. */
inputs *inputs_open(char *const *names, size_t count, bool nul_ended);
void inputs_free(inputs *in); /* NULL is fine */

/* How many pictures there will be, when that is known without looking into folders; else 0. */
size_t inputs_total(const inputs *in);

/* What a tw_path_fn answers; the i of its calls counts up from 0. */
const char *inputs_next(inputs *in, size_t i);

/* The picture whose answer is due, borrowed until inputs_pop(). NULL: none waits. */
const input *inputs_front(inputs *in);
void inputs_pop(inputs *in);

/* After the work: memory ran out while names were fetched, so that there were more of them. */
bool inputs_failed(const inputs *in);

/* Files in folders that cannot be pictures at all: sockets, devices, pipes. */
size_t inputs_special_count(const inputs *in);

/* At least one of the names was a folder. */
bool inputs_had_folder(const inputs *in);

#endif
