/* sniff_test.c - what counts as the beginning of a picture. */
#include "../testing.h"

#include "base/ctx.h"
#include "dataset/sniff.h"

typedef struct sample {
    const char *bytes;
    size_t size;
} sample;

#define BYTES(text)                                                                                \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }

static bool sniffed(const sample *s)
{
    unsigned char head[TWI_SNIFF_BYTES] = {0};
    memcpy(head, s->bytes, s->size);
    return twi_sniff_picture(head, s->size);
}

static void pictures(void **state)
{
    (void)state;
    static const sample all[] = {
        BYTES("\xff\xd8\xff\xe1"),
        BYTES("\xff\xd8"),
        BYTES("\x89PNG\r\n\x1a\n"),
        BYTES("RIFF\0\0\0\0WEBPVP8L"),
        BYTES("GIF89a"),
        BYTES("GIF87a"),
        BYTES("II*\0\x08"),
        BYTES("MM\0*"),
        BYTES("BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"),
        BYTES("\0\0\0\x1c"
              "ftypheic"),
        BYTES("\0\0\0\x20"
              "ftypavif"),
        BYTES("P6\n12 3\n255\n"),
        BYTES("P5 # made by hand\n"),
        BYTES("8BPS\0\1"),
        BYTES("qoif"),
        BYTES("\xff\x0a"),
        BYTES("\0\0\0\x0cJXL \r\n\x87\n"),
        BYTES("\0\0\0\x0cjP  \r\n\x87\n"),
    };
    for (size_t i = 0; i < TWI_LEN(all); i++) assert_true(sniffed(&all[i]));
}

static void others(void **state)
{
    (void)state;
    static const sample all[] = {
        BYTES(""),
        BYTES("\xff"),
        BYTES("hello"),
        BYTES("BM"),
        BYTES("BMW is a maker of cars, so"),
        BYTES("RIFF\0\0\0\0WAVEfmt "),
        BYTES("AAAA\0\0\0\0WEBP"),
        BYTES("%PDF-1.4"),
        BYTES("P6"),
        BYTES("P9\n1 1\n"),
        BYTES("\0\0\0\x18"
              "ftypmp42"),
        BYTES("\x89PN"),
        BYTES("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        BYTES("<svg xmlns="),
        BYTES("path,label\n"),
    };
    for (size_t i = 0; i < TWI_LEN(all); i++) assert_false(sniffed(&all[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pictures), cmocka_unit_test(others)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
