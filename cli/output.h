/* output.h - files that a command makes: refused early when they cannot be, and whole or not at
 * all. */
#ifndef TOPWORK_CLI_OUTPUT_H
#define TOPWORK_CLI_OUTPUT_H

#include "session.h"

typedef enum output_kind {
    OUTPUT_TOPWORK, /* a model or a backbone */
    OUTPUT_NPY,
    OUTPUT_SVG,
    OUTPUT_CSV, /* a table of ours: its header line begins with "path" */
    OUTPUT_PNG  /* may be anyone's photo: an existing one is never taken for ours */
} output_kind;

/* Before the work: path can be made, and what is there is of the same kind or --force was given. 0,
 * or the exit code after having said why not. */
int output_check(session *s, const char *path, output_kind kind);

/* The path to hand to a function that takes names too: "vgg16" the file becomes "./vgg16". Fresh
 * memory (free()). */
char *output_as_path(const char *path);

/* A file written beside path under another name and moved onto it at commit. */
typedef struct outfile outfile;

outfile *outfile_open(session *s, const char *path); /* NULL: it has been said why */
FILE *outfile_stream(outfile *f);                    /* buffered */
/* True when a write has failed. Asked right after writing, it keeps why for outfile_sync() to say.
 */
bool outfile_failed(outfile *f);
/* 0, or the exit code after having said why not: bytes are on the disk / path is the new file. */
int outfile_sync(session *s, outfile *f);
int outfile_rename(session *s, outfile *f);
void outfile_free(outfile *f); /* NULL is fine; removes what was not renamed */

/* The header of a .npy file (format 1.0), always NPY_HEADER bytes long, so that it can be written
 * again when the number of rows is known. columns 0: a vector. descr: "<f4", "<i8". */
enum { NPY_HEADER = 128 };
void npy_header(FILE *out, const char *descr, size_t rows, size_t columns);

#endif
