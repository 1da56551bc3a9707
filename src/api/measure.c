/* measure.c - tw_backbone_speed(): photos a second of a backbone on this machine.
 *
 * The pictures are drawn at the network's own input size, so the figure is the network's: the
 * decoding of large photos comes on top. It is kept in the cache under the backbone's digest and
 * whatever else it depends on. */
#include "api/extract.h"
#include "features/cache.h"

#include <string.h>

#define WARM_PICTURES   16 /* what AUTO chooses a precision on (features.h) */
#define LEAST_PICTURES  8
#define MEASURE_SECONDS 1.0
#define BLOCK_BYTES     65535 /* of a stored deflate block (RFC 1951, 3.2.4) */
#define MAX_SIDE        4096

/* ---- one picture, as PNG (RFC 2083) with stored blocks ------------------------------------- */

typedef struct png {
    unsigned char *bytes;
    size_t size;
} png;

static void put_u32(png *p, uint32_t value)
{
    for (int i = 0; i < 4; i++) p->bytes[p->size++] = (unsigned char)(value >> (24 - 8 * i));
}

/* CRC-32 of RFC 2083, appendix 15, bit by bit: it is done once. */
static uint32_t crc_of(const unsigned char *bytes, size_t n)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

static size_t begin_chunk(png *p, const char type[5], size_t n)
{
    put_u32(p, (uint32_t)n);
    memcpy(p->bytes + p->size, type, 4);
    p->size += 4;
    return p->size - 4;
}

static void end_chunk(png *p, size_t start)
{
    put_u32(p, crc_of(p->bytes + start, p->size - start));
}

/* Adler-32 (RFC 1950) of the bytes that byte i is noise, or 0 where a row's filter type stands. */
static void put_pixels(png *p, size_t row, size_t rows)
{
    const size_t raw = row * rows;
    uint32_t a = 1, b = 0, noise = 12345;
    p->bytes[p->size++] = 0x78, p->bytes[p->size++] = 0x01;
    for (size_t i = 0; i < raw; i++) {
        if (i % BLOCK_BYTES == 0) {
            const size_t n = raw - i < BLOCK_BYTES ? raw - i : BLOCK_BYTES;
            p->bytes[p->size++] = i + n == raw;
            p->bytes[p->size++] = (unsigned char)n, p->bytes[p->size++] = (unsigned char)(n >> 8);
            p->bytes[p->size++] = (unsigned char)~n, p->bytes[p->size++] = (unsigned char)(~n >> 8);
        }
        noise = noise * 1664525u + 1013904223u; /* Numerical Recipes' constants */
        const unsigned char value = i % row == 0 ? 0 : (unsigned char)(noise >> 24);
        p->bytes[p->size++] = value;
        a = (a + value) % 65521;
        b = (b + a) % 65521;
    }
    put_u32(p, b << 16 | a);
}

static tw_status draw(tw_ctx *ctx, size_t height, size_t width, png *out)
{
    static const unsigned char signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    if (height == 0 || width == 0 || height > MAX_SIDE || width > MAX_SIDE)
        return twi_fail(ctx, TW_ERR_UNSUPPORTED,
                        "speed is measured for inputs of 1 to %d pixels a side, not %zu x %zu",
                        MAX_SIDE, height, width);
    const size_t row = 1 + 3 * width, raw = row * height; /* at most 50 MB */
    const size_t packed = 2 + raw + 5 * ((raw + BLOCK_BYTES - 1) / BLOCK_BYTES) + 4;
    png p = {0};
    const tw_status st = twi_alloc(ctx, sizeof signature + 3 * 12 + 13 + packed, &p.bytes);
    if (st != TW_OK) return st;
    memcpy(p.bytes, signature, sizeof signature);
    p.size = sizeof signature;
    size_t start = begin_chunk(&p, "IHDR", 13);
    put_u32(&p, (uint32_t)width);
    put_u32(&p, (uint32_t)height);
    memcpy(p.bytes + p.size, "\x08\x02\0\0\0", 5); /* 8 bits, RGB, the one of each method */
    p.size += 5;
    end_chunk(&p, start);
    start = begin_chunk(&p, "IDAT", packed);
    put_pixels(&p, row, height);
    end_chunk(&p, start);
    end_chunk(&p, begin_chunk(&p, "IEND", 0));
    *out = p;
    return TW_OK;
}

/* ---- the run ------------------------------------------------------------------------------- */

typedef struct measuring {
    png picture;
    size_t least; /* pictures */
    double until; /* twi_seconds(); after least, no more than this */
} measuring;

static bool next_picture(void *user, size_t i, tw_bytes *src, const char **name)
{
    const measuring *m = user;
    if (i >= m->least && twi_seconds() >= m->until) return false;
    *src = (tw_bytes){m->picture.bytes, m->picture.size};
    *name = "drawn picture";
    return true;
}

static int drop_row(void *user, size_t i, tw_status status, const char *message,
                    const float *features)
{
    (void)user, (void)i, (void)status, (void)message, (void)features;
    return 0;
}

static tw_status measure(tw_ctx *ctx, const tw_backbone *backbone, double *rate)
{
    twi_extractor_opts opts;
    twi_extractor *extractor = NULL;
    twi_extract_stats stats;
    measuring m = {.least = WARM_PICTURES};
    const twi_source source = {.bytes = next_picture, .user = &m};
    tw_status st = twi_extract_resolve(ctx, backbone, NULL, &opts);
    if (st != TW_OK) return st;
    opts.identity[0] = '\0'; /* rows of drawn pictures are nothing to keep */
    opts.strict = true;
    if ((st = draw(ctx, opts.recipe.height, opts.recipe.width, &m.picture)) != TW_OK) return st;
    st = twi_extractor_new(ctx, backbone->network, &opts, &extractor);
    if (st == TW_OK) st = twi_extractor_run(ctx, extractor, &source, drop_row, NULL, &stats);
    m.least = LEAST_PICTURES;
    m.until = twi_seconds() + MEASURE_SECONDS;
    if (st == TW_OK) st = twi_extractor_run(ctx, extractor, &source, drop_row, NULL, &stats);
    if (st == TW_OK) *rate = stats.seconds_wall > 0 ? (double)stats.rows / stats.seconds_wall : 0;
    twi_extractor_free(extractor);
    twi_free(m.picture.bytes);
    return st;
}

/* ---- remembering --------------------------------------------------------------------------- */

static void key_of(const tw_ctx *ctx, const tw_backbone *backbone, twi_key *key)
{
    const char *const parts[] = {"speed", backbone->digest, twi_engine_isa(), tw_version()};
    const size_t threads = twi_threads(ctx);
    twi_digest digest;
    twi_digest_start(&digest);
    for (size_t i = 0; i < TWI_LEN(parts); i++)
        twi_digest_add(&digest, parts[i], strlen(parts[i]) + 1);
    twi_digest_add(&digest, &threads, sizeof threads);
    twi_digest_bytes(&digest, key->bytes);
}

tw_status tw_backbone_speed(tw_ctx *ctx, const tw_backbone *backbone, int again,
                            double *photos_per_second)
{
    twi_key key;
    double rate = 0;
    tw_cache *cache = twi_ctx_cache(ctx);
    key_of(ctx, backbone, &key);
    if (!again) {
        if (!cache || !twi_cache_get_number(cache, &key, &rate)) rate = 0;
        *photos_per_second = rate;
        return TW_OK;
    }
    const tw_status st = measure(ctx, backbone, &rate);
    if (st != TW_OK) return st;
    if (cache && rate > 0) {
        twi_cache_put_number(cache, &key, rate);
        twi_cache_flush(ctx, cache, true);
    }
    *photos_per_second = rate;
    return TW_OK;
}
