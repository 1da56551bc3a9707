/* views.c - reading --input-size, --views, --patches and --layers. */
#include "views.h"

#include <stdlib.h>
#include <string.h>

/* Digits alone, up to most; *text moves behind them. */
static bool take_number(const char **text, double most, size_t *out)
{
    const size_t digits = strspn(*text, "0123456789");
    if (digits == 0 || digits > 15) return false;
    const unsigned long long value = strtoull(*text, NULL, 10);
    if ((double)value > most) return false;
    *text += digits;
    *out = (size_t)value;
    return true;
}

/* "224" or "192x256": height, then width. *width 0: it was one number. */
static bool take_size(const char **text, size_t *height, size_t *width)
{
    *width = 0;
    if (!take_number(text, 16384, height)) return false;
    if (**text != 'x') return true;
    ++*text;
    return take_number(text, 16384, width) && *width > 0;
}

/* A usage error about what was typed, its control characters escaped. */
static int refuse(session *s, const char *name, const char *typed, const char *need)
{
    char *const shown = text_escape(typed);
    if (!shown) return session_fail_nomem(s);
    const int code = session_fail_usage(s, "--%s: '%s' is not %s", name, shown, need);
    free(shown);
    return code;
}

static int read_input_size(session *s, tw_extract_opts *out)
{
    enum { LEAST = 8 };
    const char *at = s->opts.input_size;
    if (!at) return 0;
    if (!take_size(&at, &out->input_size, &out->input_width) || *at != '\0' ||
        out->input_size < LEAST || (out->input_width != 0 && out->input_width < LEAST))
        return refuse(s, "input-size", s->opts.input_size,
                      "a side in pixels, or HEIGHTxWIDTH, from 8 to 16384");
    return 0;
}

/* A whole number, or a share: with a point, above 0 and below 1. */
static bool take_most(const char **text, double *out)
{
    size_t whole;
    char share[20];
    const size_t n = strspn(*text, "0123456789.");
    if (!memchr(*text, '.', n)) {
        if (!take_number(text, 1e9, &whole) || whole == 0) return false;
        *out = (double)whole;
        return true;
    }
    if (n >= sizeof share) return false;
    memcpy(share, *text, n);
    share[n] = '\0';
    char *end;
    *out = strtod(share, &end);
    *text += n;
    return *end == '\0' && *out > 0 && *out < 1;
}

static bool take_colon(const char **text)
{
    const bool there = **text == ':';
    *text += there;
    return there;
}

/* HEIGHTxWIDTH[:MOST[:SEED]] */
static int read_patches(session *s, tw_extract_opts *out)
{
    enum { USUAL_SEED = 42 };
    const char *at = s->opts.patches;
    size_t seed = USUAL_SEED;
    if (!at) return 0;
    bool good = take_size(&at, &out->patch_height, &out->patch_width) && out->patch_height > 0;
    if (good && out->patch_width == 0) out->patch_width = out->patch_height;
    if (good && take_colon(&at)) {
        good = take_most(&at, &out->max_patches);
        if (good && take_colon(&at)) good = take_number(&at, 4294967295.0, &seed);
    }
    out->patch_seed = (uint32_t)seed;
    if (good && *at == '\0') return 0;
    return refuse(s, "patches", s->opts.patches,
                  "HEIGHTxWIDTH, HEIGHTxWIDTH:NUMBER or HEIGHTxWIDTH:NUMBER:SEED; a number below 1 "
                  "is a share");
}

int views_read(session *s, tw_extract_opts *out)
{
    const options *const o = &s->opts;
    out->views = o->views;
    out->layers = (const char *const *)o->layers.items;
    out->n_layers = o->layers.count;
    if (o->patches && (o->views || o->views_list.count))
        return session_fail_usage(s, "--patches takes the place of --views: give one of them");
    const int code = read_input_size(s, out);
    return code ? code : read_patches(s, out);
}
