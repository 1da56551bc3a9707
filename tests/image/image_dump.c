/* image_dump.c - the image room for parity.py: commands on stdin, one a line, fields parted by
 * tabs; each answer on stdout is a line "ok WIDTH HEIGHT CHANNELS BYTES" and the bytes, or "error
 * STATUS MESSAGE".
 *
 *     decode  rgb|skimage  EXIF(0|1)  SOURCE          samples as the picture has them
 *     resize  FILTER  BOX  WIDTH  HEIGHT  SOURCE      8-bit samples; BOX "-" or "l,t,r,b"
 *     skimage WIDTH  HEIGHT  CHANNELS  SOURCE         doubles
 *     recipe  JSON  SOURCE                            floats; SOURCE must be a picture file
 *     views   JSON  SOURCE                            the same, all views one below the other
 *
 * SOURCE is the path of a picture, or raw:WIDTH:HEIGHT:CHANNELS:BITS:PATH for bare samples. */
#include "base/file.h"
#include "image/decoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE ((size_t)1 << 30)

typedef struct session {
    tw_ctx *ctx;
    unsigned char *file;
    size_t file_capacity;
    twi_picture source, result;
    twi_recipe_scratch scratch;
    char *fields[8];
    size_t n_fields;
} session;

static void answer(size_t width, size_t height, unsigned channels, const void *data, size_t bytes)
{
    printf("ok %zu %zu %u %zu\n", width, height, channels, bytes);
    fwrite(data, 1, bytes, stdout);
}

static void answer_picture(const twi_picture *p)
{
    answer(p->width, p->height, p->channels, p->samples, twi_picture_row_bytes(p) * p->height);
}

static tw_status read_file(session *s, const char *path, tw_bytes *out)
{
    out->data = NULL;
    const tw_status st =
        twi_file_read(s->ctx, path, MAX_FILE, &s->file, &s->file_capacity, &out->size_bytes);
    out->data = s->file;
    return st;
}

static tw_status load(session *s, const char *spec, const twi_decode_opts *opts)
{
    tw_bytes bytes;
    tw_status st;
    size_t width, height;
    unsigned channels, bits;
    int path_at = 0;

    if (sscanf(spec, "raw:%zu:%zu:%u:%u:%n", &width, &height, &channels, &bits, &path_at) < 4) {
        if ((st = read_file(s, spec, &bytes)) != TW_OK) return st;
        return twi_picture_decode(s->ctx, bytes, "picture", opts, &s->source);
    }
    if ((st = read_file(s, spec + path_at, &bytes)) != TW_OK) return st;
    st = twi_picture_reserve(s->ctx, &s->source, width, height, channels, bits);
    if (st != TW_OK) return st;
    if (bytes.size_bytes != twi_picture_row_bytes(&s->source) * height)
        return twi_fail(s->ctx, TW_ERR_FORMAT, "%zu bytes of samples", bytes.size_bytes);
    memcpy(s->source.samples, bytes.data, bytes.size_bytes);
    return TW_OK;
}

static tw_status do_decode(session *s)
{
    const twi_decode_opts opts = {.mode = strcmp(s->fields[1], "skimage") == 0 ? TWI_DECODE_SKIMAGE
                                                                               : TWI_DECODE_RGB,
                                  .exif = s->fields[2][0] == '1'};
    const tw_status st = load(s, s->fields[3], &opts);
    if (st == TW_OK) answer_picture(&s->source);
    return st;
}

static tw_status do_resize(session *s)
{
    const twi_decode_opts opts = {.mode = TWI_DECODE_RGB};
    twi_filter filter;
    double box[4];
    tw_status st;

    if ((st = twi_filter_parse(s->ctx, s->fields[1], &filter)) != TW_OK) return st;
    if ((st = load(s, s->fields[5], &opts)) != TW_OK) return st;
    const bool boxed =
        sscanf(s->fields[2], "%lf,%lf,%lf,%lf", &box[0], &box[1], &box[2], &box[3]) == 4;
    st = twi_resize_pillow(s->ctx, &s->source, filter, boxed ? box : NULL,
                           strtoul(s->fields[3], NULL, 10), strtoul(s->fields[4], NULL, 10),
                           &s->result);
    if (st == TW_OK) answer_picture(&s->result);
    return st;
}

static tw_status do_skimage(session *s)
{
    const twi_decode_opts opts = {.mode = TWI_DECODE_SKIMAGE, .exif = true};
    const size_t width = strtoul(s->fields[1], NULL, 10), height = strtoul(s->fields[2], NULL, 10);
    size_t channels = strtoul(s->fields[3], NULL, 10);
    double *out;
    tw_status st;

    if ((st = load(s, s->fields[4], &opts)) != TW_OK) return st;
    if (channels == 0) channels = s->source.channels;
    if ((st = twi_alloc(s->ctx, width * height * channels, &out)) != TW_OK) return st;
    st = twi_resize_skimage(s->ctx, &s->source, width, height, channels, out);
    if (st == TW_OK)
        answer(width, height, (unsigned)channels, out, width * height * channels * sizeof *out);
    twi_free(out);
    return st;
}

static tw_status read_recipe(session *s, twi_recipe *out)
{
    twi_json *json = NULL;
    tw_status st = twi_json_parse(s->ctx, "recipe", s->fields[1], strlen(s->fields[1]), &json);
    if (st == TW_OK) st = twi_recipe_from_json(s->ctx, "recipe", json, out);
    twi_json_free(json);
    return st;
}

static tw_status do_views(session *s)
{
    twi_recipe recipe;
    twi_encoded_photo photo = {.name = "picture"};
    float *out = NULL;
    tw_status st = read_recipe(s, &recipe);
    if (st == TW_OK) st = read_file(s, s->fields[2], &photo.bytes);
    if (st == TW_OK) st = twi_recipe_open(s->ctx, &recipe, &photo, &s->scratch);
    if (st != TW_OK) return st;
    const size_t n = s->scratch.n_views, floats = recipe.width * recipe.height * 3;
    if ((st = twi_alloc(s->ctx, n * floats, &out)) != TW_OK) return st;
    for (size_t i = 0; i < n && st == TW_OK; i++)
        st = twi_recipe_view(s->ctx, &recipe, &s->scratch, i, out + i * floats);
    if (st == TW_OK) answer(recipe.width, recipe.height * n, 3, out, n * floats * sizeof *out);
    twi_free(out);
    return st;
}

static tw_status do_recipe(session *s)
{
    twi_recipe recipe;
    tw_bytes bytes;
    float *out = NULL;
    tw_status st;

    if ((st = read_recipe(s, &recipe)) != TW_OK) goto done;
    if ((st = read_file(s, s->fields[2], &bytes)) != TW_OK) goto done;
    if ((st = twi_alloc(s->ctx, recipe.width * recipe.height * 3, &out)) != TW_OK) goto done;
    st = twi_recipe_apply(s->ctx, &recipe, bytes, "picture", 0, &s->scratch, out);
    if (st == TW_OK)
        answer(recipe.width, recipe.height, 3, out, recipe.width * recipe.height * 3 * sizeof *out);
done:
    twi_free(out);
    return st;
}

typedef struct command {
    const char *name;
    size_t n_fields;
    tw_status (*run)(session *s);
} command;

static const command commands[] = {{"decode", 4, do_decode},
                                   {"resize", 6, do_resize},
                                   {"skimage", 5, do_skimage},
                                   {"recipe", 3, do_recipe},
                                   {"views", 3, do_views}};

static tw_status run_line(session *s, char *line)
{
    s->n_fields = 0;
    for (char *field; s->n_fields < TWI_LEN(s->fields) && (field = strsep(&line, "\t")) != NULL;)
        s->fields[s->n_fields++] = field;
    for (size_t i = 0; i < TWI_LEN(commands); i++)
        if (strcmp(s->fields[0], commands[i].name) == 0 && s->n_fields == commands[i].n_fields)
            return commands[i].run(s);
    return twi_fail(s->ctx, TW_ERR_ARG, "no command %s of %zu fields", s->fields[0], s->n_fields);
}

int main(void)
{
    session s = {0};
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;

    if (tw_ctx_new(&s.ctx) != TW_OK) return 1;
    while ((length = getline(&line, &capacity, stdin)) > 0) {
        if (line[length - 1] == '\n') line[length - 1] = '\0';
        const tw_status st = run_line(&s, line);
        if (st != TW_OK) printf("error %s %s\n", tw_status_name(st), tw_last_error(s.ctx));
        fflush(stdout);
    }
    free(line);
    twi_free(s.file);
    twi_picture_free(&s.source);
    twi_picture_free(&s.result);
    twi_recipe_scratch_free(&s.scratch);
    tw_ctx_free(s.ctx);
    return 0;
}
