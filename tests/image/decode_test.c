/* decode_test.c - decoders against Pillow's and imageio's answers, orientation, and what must be
 * refused. */
#include "golden.h"

#include "image/decoder.h"

static tw_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    return tw_ctx_new(&ctx) == TW_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    tw_ctx_free(ctx);
    return 0;
}

static tw_status decode(const void *data, size_t size, twi_decode_mode mode, twi_picture *picture)
{
    const twi_decode_opts opts = {.mode = mode, .exif = true};
    return twi_picture_decode(ctx, (tw_bytes){data, size}, "a.jpg", &opts, picture);
}

/* ---- goldens --------------------------------------------------------------------------------- */

/* The largest difference between two runs of 8-bit samples. */
static int distance(const unsigned char *a, const unsigned char *b, size_t n)
{
    int most = 0;
    for (size_t i = 0; i < n; i++) {
        const int d = abs(a[i] - b[i]);
        if (d > most) most = d;
    }
    return most;
}

/* PNG and lossless WebP are exact by definition. Lossy formats may move by rounding between
 * versions of their library, so they get 3 of 255 here; parity.py checks them to the bit beside the
 * same library. */
static void test_goldens(void **state)
{
    (void)state;
    twi_picture picture = {0};
    golden g;
    size_t n = 0;

    for (golden_open(&g, "decode.pack"); golden_next(&g); n++) {
        const bool lossy = strncmp(g.name, "jpeg", 4) == 0 || strcmp(g.name, "webp-lossy") == 0;
        const tw_status st =
            decode(g.first, g.first_size, (twi_decode_mode)g.integers[0], &picture);
        if (st != TW_OK) fail_msg("%s: %s", g.name, tw_last_error(ctx));
        if (picture.width != g.integers[1] || picture.height != g.integers[2] ||
            picture.channels != g.integers[3] || picture.bits != g.integers[4])
            fail_msg("%s: %zu x %zu x %u of %u bits", g.name, picture.width, picture.height,
                     picture.channels, picture.bits);
        assert_int_equal(twi_picture_row_bytes(&picture) * picture.height, g.second_size);
        if (distance(picture.samples, g.second, g.second_size) > (lossy ? 3 : 0))
            fail_msg("%s: samples differ", g.name);
    }
    assert_true(n > 60);
    twi_picture_free(&picture);
}

/* Each prefix of each file ends in a picture or in a message that names it; a PNG's never in a
 * picture. */
static void test_prefixes(void **state)
{
    (void)state;
    twi_picture picture = {0};
    golden g;

    for (golden_open(&g, "decode.pack"); golden_next(&g);)
        for (size_t size = 0; size < g.first_size; size++) {
            unsigned char *const prefix = malloc(size ? size : 1);
            memcpy(prefix, g.first, size);
            const tw_status st = decode(prefix, size, (twi_decode_mode)g.integers[0], &picture);
            free(prefix);
            if (st != TW_OK) assert_int_equal(strncmp(tw_last_error(ctx), "a.jpg: ", 7), 0);
            /* the last four bytes are the checksum of an empty chunk */
            if (strncmp(g.name, "png", 3) == 0 && size + 4 < g.first_size)
                assert_int_not_equal(st, TW_OK);
        }
    twi_picture_free(&picture);
}

/* Every byte of each file flipped in turn: no crash (a sanitizer's business), and a status of ours.
 */
static void test_flipped_bytes(void **state)
{
    (void)state;
    const twi_decode_opts opts = {.mode = TWI_DECODE_RGB, .exif = true, .max_pixels = 1 << 16};
    twi_picture picture = {0};
    golden g;

    for (golden_open(&g, "decode.pack"); golden_next(&g);) {
        if (g.integers[0] != TWI_DECODE_RGB) continue;
        for (size_t i = 0; i < g.first_size; i++) {
            g.first[i] ^= 0x5a;
            const tw_status st =
                twi_picture_decode(ctx, (tw_bytes){g.first, g.first_size}, "a", &opts, &picture);
            assert_true(st == TW_OK || st == TW_ERR_FORMAT || st == TW_ERR_UNSUPPORTED ||
                        st == TW_ERR_DATA);
            g.first[i] ^= 0x5a;
        }
    }
    twi_picture_free(&picture);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void refused(const void *data, size_t size, tw_status status, const char *words)
{
    twi_picture picture = {0};
    assert_int_equal(decode(data, size, TWI_DECODE_RGB, &picture), status);
    if (!strstr(tw_last_error(ctx), words))
        fail_msg("\"%s\" lacks \"%s\"", tw_last_error(ctx), words);
    assert_null(picture.samples);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char heic[] = "\0\0\0\x18"
                               "ftypheic\0\0\0\0";
    static const char avif[] = "\0\0\0\x18"
                               "ftypavif\0\0\0\0";

    refused("", 0, TW_ERR_FORMAT, "empty");
    refused("hello, world", 12, TW_ERR_UNSUPPORTED, "not a picture");
    refused("GIF89a......", 12, TW_ERR_UNSUPPORTED, "GIF");
    refused("BM..........", 12, TW_ERR_UNSUPPORTED, "BMP");
    refused("II*\0........", 12, TW_ERR_UNSUPPORTED, "TIFF");
    refused(heic, sizeof heic - 1, TW_ERR_UNSUPPORTED, "HEIC");
    refused(avif, sizeof avif - 1, TW_ERR_UNSUPPORTED, "AVIF");
    refused("\xff\xd8\xff\xe0", 4, TW_ERR_FORMAT, "truncated");
    refused("\x89PNG\r\n\x1a\n", 8, TW_ERR_FORMAT, "truncated");
}

static void test_format_names(void **state)
{
    (void)state;
    bool readable;

    assert_string_equal(twi_picture_format("\xff\xd8\xff\xe0", 4, &readable), "JPEG");
    assert_true(readable);
    assert_string_equal(twi_picture_format("RIFF\1\2\3\4WEBPVP8 ", 16, &readable), "WebP");
    assert_true(readable);
    assert_string_equal(twi_picture_format("GIF89a", 6, &readable), "GIF");
    assert_false(readable);
    assert_null(twi_picture_format("?", 1, &readable));
    assert_null(twi_picture_format("", 0, &readable));
    assert_false(readable);
}

/* The cap counts declared pixels, and is met before anything of that size is allocated. */
static void test_pixel_cap(void **state)
{
    (void)state;
    twi_decode_opts opts = {.mode = TWI_DECODE_RGB, .max_pixels = 19 * 27};
    twi_picture picture = {0};
    golden g;

    for (golden_open(&g, "decode.pack"); golden_next(&g);) {
        if (strcmp(g.name, "png-rgb") != 0 && strcmp(g.name, "jpeg-sub0") != 0 &&
            strcmp(g.name, "webp-rgb") != 0)
            continue;
        const tw_bytes file = {g.first, g.first_size};
        opts.max_pixels = 19 * 27;
        assert_int_equal(twi_picture_decode(ctx, file, "a", &opts, &picture), TW_OK);
        twi_picture_free(&picture);
        opts.max_pixels = 19 * 27 - 1;
        assert_int_equal(twi_picture_decode(ctx, file, "a", &opts, &picture), TW_ERR_DATA);
        assert_non_null(strstr(tw_last_error(ctx), "27 x 19"));
        assert_null(picture.samples);
    }
}

/* A progressive JPEG whose last scan comes again and again: each walk over the picture costs time.
 */
static void test_scan_bomb(void **state)
{
    (void)state;
    twi_picture picture = {0};
    golden g;

    for (golden_open(&g, "decode.pack"); golden_next(&g);) {
        if (strcmp(g.name, "jpeg-progressive") != 0 || g.integers[0] != TWI_DECODE_RGB) continue;
        size_t scan = 0;
        for (size_t i = 0; i + 1 < g.first_size; i++)
            if (g.first[i] == 0xff && g.first[i + 1] == 0xda) scan = i;
        const size_t size = g.first_size - 2 - scan; /* without the end-of-image marker */
        for (size_t repeats = 10; repeats <= 200; repeats += 190) {
            unsigned char *const bomb = malloc(g.first_size + repeats * size);
            memcpy(bomb, g.first, g.first_size - 2);
            for (size_t r = 0; r < repeats; r++)
                memcpy(bomb + scan + (r + 1) * size, g.first + scan, size);
            memcpy(bomb + scan + (repeats + 1) * size, "\xff\xd9", 2);
            const tw_status st =
                decode(bomb, g.first_size + repeats * size, TWI_DECODE_RGB, &picture);
            assert_int_equal(st, repeats == 10 ? TW_OK : TW_ERR_FORMAT);
            if (st != TW_OK) assert_non_null(strstr(tw_last_error(ctx), "scans"));
            free(bomb);
        }
    }
    twi_picture_free(&picture);
}

/* ---- EXIF ------------------------------------------------------------------------------------ */

/* An EXIF block with one entry for the orientation. */
static size_t exif_block(bool big, unsigned type, uint32_t count, uint32_t value,
                         unsigned char *out)
{
    static const unsigned char little_head[] = "II*\0\x08\0\0\0\x01\0\x12\x01";
    static const unsigned char big_head[] = "MM\0*\0\0\0\x08\0\x01\x01\x12";
    memcpy(out, big ? big_head : little_head, 12);
    out[12] = (unsigned char)(big ? 0 : type), out[13] = (unsigned char)(big ? type : 0);
    const bool is_short = type == 3 || type == 8;
    for (unsigned i = 0; i < 4; i++) {
        const unsigned shift = big ? 24 - 8 * i : 8 * i;
        out[14 + i] = (unsigned char)(count >> shift);
        out[18 + i] = (unsigned char)((big && is_short ? value << 16 : value) >> shift);
    }
    memset(out + 22, 0, 4);
    return 26;
}

static void test_exif_types(void **state)
{
    (void)state;
    unsigned char block[32];

    for (int big = 0; big < 2; big++)
        for (uint32_t o = 1; o <= 8; o++) {
            assert_int_equal(twi_exif_orientation(block, exif_block(big, 3, 1, o, block)), o);
            assert_int_equal(twi_exif_orientation(block, exif_block(big, 4, 1, o, block)), o);
        }
    /* Pillow compares a BYTE's bytes with whole numbers and finds nothing; so do we. */
    assert_int_equal(twi_exif_orientation(block, exif_block(false, 1, 1, 6, block)), 0);
    assert_int_equal(twi_exif_orientation(block, exif_block(false, 3, 0, 6, block)), 0);
    assert_int_equal(twi_exif_orientation(block, exif_block(false, 3, 1, 9, block)), 0);
    assert_int_equal(twi_exif_orientation(block, exif_block(true, 4, UINT32_MAX, 6, block)), 0);
    const size_t size = exif_block(true, 3, 1, 6, block);
    for (size_t n = 0; n < 22; n++)
        assert_int_equal(twi_exif_orientation(block, n < size ? n : size), 0);
}

static void test_xmp(void **state)
{
    (void)state;
    static const char *const texts[] = {"<a tiff:Orientation=\"6\"/>",
                                        "<tiff:Orientation>3<",
                                        "tiff:Orientation= 6 tiff:Orientation=\"2\"",
                                        "tiff:Orientation",
                                        "tiff:Orientation=\"9\"",
                                        "tiff:Orientation=\"",
                                        ""};
    static const int want[] = {6, 3, 2, 0, 0, 0, 0};
    for (size_t i = 0; i < TWI_LEN(texts); i++)
        assert_int_equal(twi_xmp_orientation(texts[i], strlen(texts[i])), want[i]);
}

/* Turning is undone by its inverse, and each pixel goes where EXIF says. */
static void test_orientations(void **state)
{
    (void)state;
    static const int inverse[] = {0, 1, 2, 3, 4, 5, 8, 7, 6};
    static const unsigned shapes[][4] = {{3, 2, 3, 8}, {70, 33, 3, 8}, {33, 70, 1, 8},
                                         {1, 9, 4, 8}, {9, 1, 1, 16},  {40, 41, 2, 8}};

    for (size_t s = 0; s < TWI_LEN(shapes); s++)
        for (int o = 1; o <= 8; o++) {
            twi_picture p = {0};
            const size_t w = shapes[s][0], h = shapes[s][1];
            assert_int_equal(twi_picture_reserve(ctx, &p, w, h, shapes[s][2], shapes[s][3]), TW_OK);
            const size_t pixel = p.channels * p.bits / 8, bytes = twi_picture_row_bytes(&p) * h;
            unsigned char *const before = malloc(bytes), *samples = p.samples;
            for (size_t i = 0; i < bytes; i++)
                samples[i] = before[i] = (unsigned char)(i * 37 + i / 251);
            assert_int_equal(twi_picture_orient(ctx, &p, o), TW_OK);
            assert_int_equal(p.width, o >= 5 ? h : w);
            /* EXIF 2.3: for orientation o the file's pixel (0, 0) belongs at this corner */
            const bool right = o == 2 || o == 3 || o == 6 || o == 7;
            const bool bottom = o == 3 || o == 4 || o == 7 || o == 8;
            samples = p.samples;
            const size_t x = right ? p.width - 1 : 0, y = bottom ? p.height - 1 : 0;
            assert_memory_equal(samples + (y * p.width + x) * pixel, before, pixel);
            assert_int_equal(twi_picture_orient(ctx, &p, inverse[o]), TW_OK);
            assert_memory_equal(p.samples, before, bytes);
            free(before);
            twi_picture_free(&p);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),       cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_flipped_bytes), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_format_names),  cmocka_unit_test(test_pixel_cap),
        cmocka_unit_test(test_scan_bomb),     cmocka_unit_test(test_exif_types),
        cmocka_unit_test(test_xmp),           cmocka_unit_test(test_orientations),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
