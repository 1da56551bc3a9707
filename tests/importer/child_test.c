/* child_test.c - tw_backbone_import(): the child's sentence, its death, cancelling, and hostile
 * files. */
#include "api/published.h"
#include "base/digest.h"
#include "base/rng.h"
#include "foreign.h"

#include <dirent.h>

static tw_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    return tw_ctx_new(&ctx) == TW_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove();
    tw_ctx_free(ctx);
    return 0;
}

static char source[512], out[512];

static void put_sapling(size_t classes)
{
    twi_tensors list = {0};
    strcpy(source, scratch("-source.safetensors"));
    strcpy(out, scratch("out.tw"));
    add_sapling(&list, classes);
    put_weights(source, &list);
    twi_tensors_free(&list);
}

/* Nothing but the files of this test: the child's folder is gone. */
static void expect_no_leftovers(void)
{
    DIR *folder = opendir(scratch(""));
    const struct dirent *entry;
    assert_non_null(folder);
    while ((entry = readdir(folder))) assert_true(strncmp(entry->d_name, ".topwork", 8) != 0);
    closedir(folder);
}

static void expect_error(tw_status st, tw_status expected, const char *words)
{
    if (st != expected || !strstr(tw_last_error(ctx), words))
        fail_msg("%s: %s\nexpected %s: ... %s", tw_status_name(st), tw_last_error(ctx),
                 tw_status_name(expected), words);
    expect_no_leftovers();
}

static void a_sound_file_is_imported(void **state)
{
    (void)state;
    tw_backbone *backbone;
    put_sapling(3);
    put_file(scratch("names"), "a\nb\nc\n", 6);
    char opts[700];
    snprintf(
        opts, sizeof opts,
        "{\"name\":\"twig\",\"dtype\":\"f16\",\"labels\":\"%s\",\"recipe\":{\"mean\":[0,0,0]}}",
        scratch("names"));
    assert_int_equal(tw_backbone_import(ctx, source, "sapling", opts, out), TW_OK);
    assert_int_equal(tw_backbone_open(ctx, out, &backbone), TW_OK);
    assert_string_equal(tw_backbone_name(backbone), "twig");
    assert_int_equal(tw_backbone_class_count(backbone), 3);
    assert_string_equal(tw_backbone_class_name(backbone, 1), "b");
    assert_int_equal(tw_backbone_feature_count(backbone), 32);
    tw_backbone_free(backbone);
    expect_no_leftovers();
    assert_int_equal(tw_backbone_import(ctx, source, "sapling", NULL, out), TW_OK);
}

static void the_childs_sentence_is_relayed(void **state)
{
    (void)state;
    size_t size;
    put_sapling(3);
    put_file(out, "kept", 4);
    expect_error(tw_backbone_import(ctx, source, "vgg16", NULL, out), TW_ERR_FORMAT,
                 "-source.safetensors: weight features.0.weight is missing");
    expect_error(tw_backbone_import(ctx, source, "nix", NULL, out), TW_ERR_ARG,
                 "unknown architecture nix");
    expect_error(tw_backbone_import(ctx, source, NULL, NULL, out), TW_ERR_ARG, "name the arch");
    expect_error(tw_backbone_import(ctx, "/nonexistent\n", "vgg16", NULL, out), TW_ERR_IO,
                 "/nonexistent");
    expect_error(tw_backbone_import(ctx, source, "sapling", "{\"labels\":\"/nonexistent\"}", out),
                 TW_ERR_IO, "/nonexistent: No such file");
    expect_error(tw_backbone_import(ctx, source, "sapling", "{\"tag\":1}", out), TW_ERR_ARG,
                 "\"tag\" is none of name, dtype, labels, feature, recipe");
    expect_error(tw_backbone_import(ctx, source, "sapling", "{\"name\":1}", out), TW_ERR_ARG,
                 "\"name\" is not text");
    expect_error(tw_backbone_import(ctx, source, "sapling", "[]", out), TW_ERR_ARG, "JSON object");
    expect_error(tw_backbone_import(ctx, source, "sapling", NULL, "/nonexistent/x.tw"), TW_ERR_IO,
                 "/nonexistent/x.tw: cannot be written");
    /* A word that only the reader of recipes knows to be wrong. */
    expect_error(
        tw_backbone_import(ctx, source, "sapling", "{\"recipe\":{\"resize\":\"best\"}}", out),
        TW_ERR_FORMAT, "recipe: \"resize\"");
    unsigned char *kept = get_file(out, &size);
    assert_int_equal(size, 4);
    assert_memory_equal(kept, "kept", 4);
    free(kept);
}

/* ---- children that misbehave --------------------------------------------------------------- */

static void use_script(const char *text)
{
    char path[512];
    strcpy(path, scratch("script"));
    put_file(path, text, strlen(text));
    assert_int_equal(chmod(path, 0700), 0);
    setenv("TOPWORK_IMPORT", path, 1);
}

static int stop(void *user, const tw_progress *progress)
{
    int *calls = user;
    assert_string_equal(progress->stage, "import");
    return ++*calls >= 2;
}

static void deaths_are_explained(void **state)
{
    (void)state;
    int calls = 0;
    char *program = getenv("TOPWORK_IMPORT");
    program = program ? strdup(program) : NULL;
    put_sapling(3);
    use_script("#!/bin/sh\nkill -SEGV $$\n");
    expect_error(tw_backbone_import(ctx, source, "sapling", NULL, out), TW_ERR_FORMAT,
                 "the importer was ended by signal 11 while reading");
    use_script("#!/bin/sh\nkill -XCPU $$\n");
    expect_error(tw_backbone_import(ctx, source, "sapling", NULL, out), TW_ERR_NOMEM,
                 "seconds of processor time");
    use_script("#!/bin/sh\nkill -KILL $$\n");
    expect_error(tw_backbone_import(ctx, source, "sapling", NULL, out), TW_ERR_NOMEM,
                 "killed from outside");
    use_script("#!/bin/sh\nexit 7\n");
    expect_error(tw_backbone_import(ctx, source, "sapling", NULL, out), TW_ERR_FORMAT,
                 "ended with code 7");
    use_script("#!/bin/sh\necho noise >&2\necho 'topwork-import: data: two: words' >&2\nexit 3\n");
    expect_error(tw_backbone_import(ctx, source, "sapling", NULL, out), TW_ERR_DATA, "two: words");
    use_script("#!/bin/sh\nexit 0\n"); /* says all is well, and made nothing */
    expect_error(tw_backbone_import(ctx, source, "sapling", NULL, out), TW_ERR_IO, "backbone.tw");
    use_script("#!/bin/sh\nexec sleep 60\n");
    tw_ctx_set_progress(ctx, stop, &calls);
    expect_error(tw_backbone_import(ctx, source, "sapling", NULL, out), TW_ERR_CANCELLED, "");
    tw_ctx_set_progress(ctx, NULL, NULL);
    setenv("TOPWORK_IMPORT", "/nonexistent", 1);
    expect_error(tw_backbone_import(ctx, source, "sapling", NULL, out), TW_ERR_UNSUPPORTED,
                 "TOPWORK_IMPORT is /nonexistent");
    if (program)
        setenv("TOPWORK_IMPORT", program, 1);
    else
        unsetenv("TOPWORK_IMPORT");
    free(program);
}

/* ---- hostile files ------------------------------------------------------------------------- */

/* Whatever it is, it ends in a backbone or in a sentence. */
static void import_hostile(const char *arch, const unsigned char *data, size_t size)
{
    char in[512];
    strcpy(in, scratch("hostile"));
    strcpy(out, scratch("hostile.tw"));
    put_file(in, data, size);
    const tw_status st = tw_backbone_import(ctx, in, arch, NULL, out);
    if (st != TW_OK && tw_last_error(ctx)[0] == '\0') fail_msg("status %d without words", st);
    if (st == TW_ERR_CANCELLED || st == TW_ERR_DIVERGED) fail_msg("status %d", st);
}

static void mutilate(const char *arch, const char *path, int cuts, int changes)
{
    size_t size;
    twi_rng rng;
    unsigned char *data = get_file(path, &size);
    twi_rng_seed(&rng, 1);
    for (int i = 0; i < cuts; i++)
        import_hostile(arch, data, twi_rng_interval(&rng, (uint32_t)size - 1));
    for (int i = 0; i < changes; i++) {
        /* One bit to many; half of them near the start, where the structure is. */
        unsigned char *copy = malloc(size);
        assert_non_null(copy);
        memcpy(copy, data, size);
        const uint32_t within = (uint32_t)(i % 2 ? size : size / 16) - 1;
        for (int flips = 1 << (i % 6); flips > 0; flips--)
            copy[twi_rng_interval(&rng, within)] ^=
                (unsigned char)(1u << twi_rng_interval(&rng, 7));
        import_hostile(arch, copy, size);
        free(copy);
    }
    free(data);
    expect_no_leftovers();
}

/* Of a file that is cut off, nothing is imported, wherever the cut is. */
static void cut_everywhere(const char *arch, const char *path)
{
    size_t size;
    unsigned char *data = get_file(path, &size);
    unlink(scratch("hostile.tw"));
    for (size_t percent = 0; percent < 100; percent++) {
        import_hostile(arch, data, size / 100 * percent);
        assert_int_not_equal(access(scratch("hostile.tw"), F_OK), 0);
    }
    import_hostile(arch, data, size - 1);
    assert_int_not_equal(access(scratch("hostile.tw"), F_OK), 0);
    free(data);
    expect_no_leftovers();
}

static const char *golden(const char *name)
{
    static char path[4096];
    const char *folder = getenv("TOPWORK_GOLDEN");
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "golden", name);
    return path;
}

/* Runs work with an importer that stops after two seconds of processor time: some of these files
 * send the HDF5 library in circles, and nobody waits for all of it. */
static void with_short_patience(void (*work)(void))
{
    const char *program = getenv("TOPWORK_IMPORT");
    char *saved = program ? strdup(program) : NULL, script[4096];
    if (saved) {
        snprintf(script, sizeof script, "#!/bin/sh\nulimit -S -t 2\nexec '%s' \"$@\"\n", saved);
        use_script(script);
    }
    work();
    if (saved) setenv("TOPWORK_IMPORT", saved, 1);
    free(saved);
}

static void mutilate_all(void)
{
    put_sapling(3);
    mutilate("sapling", source, 12, 40);
    mutilate("vgg16", golden("vgg16_keras1.h5"), 12, 40);
    mutilate("vgg16", golden("vgg16_top.h5"), 12, 40);
}

static void hostile_files_end_in_a_sentence(void **state)
{
    (void)state;
    with_short_patience(mutilate_all);
}

static void mutilate_keras_3(void)
{
    cut_everywhere("vgg16", golden("vgg16_keras3.weights.h5"));
    mutilate("vgg16", golden("vgg16_keras3.weights.h5"), 0, 24);
    mutilate("vgg16", golden("vgg16_keras3_names.weights.h5"), 0, 12);
    cut_everywhere("vgg16", golden("vgg16_top.keras"));
    mutilate("vgg16", golden("vgg16_top.keras"), 0, 18);
}

static void hostile_keras_3_files_end_in_a_sentence(void **state)
{
    (void)state;
    with_short_patience(mutilate_keras_3);
}

/* ---- published weights --------------------------------------------------------------------- */

static void published_weights_come_with_commands(void **state)
{
    (void)state;
    twi_text text = {0}, readable = {0};
    char arch[64];
    twi_published_explain(ctx, "sapling", &text);
    assert_int_equal(text.length, 0);
    assert_null(twi_published_find("vgg"));
    assert_string_equal(twi_published_find("vgg16")->hash, "md5:6d6bbae143d832006294945121d1f1fc");
    twi_published_explain(ctx, "vgg16", &text);
    assert_non_null(strstr(text.text, "https://storage.googleapis.com/tensorflow/"));
    assert_non_null(strstr(text.text, "MD5 6d6bbae143d832006294945121d1f1fc"));
    assert_non_null(strstr(text.text, "topwork backbone pull vgg16\n"));
    assert_non_null(strstr(text.text, "topwork backbone pull vgg16+top"));
    twi_text_free(&text);
    /* The importer at hand decides what can be pulled; underscores do not count. */
    twi_text_add(&readable, "vgg_16\nresnet_50_v2\n");
    assert_true(twi_published_readable(twi_published_find("resnet50v2"), &readable, arch, 64));
    assert_string_equal(arch, "resnet_50_v2");
    assert_true(twi_published_readable(twi_published_find("vgg16+top"), &readable, arch, 64));
    assert_false(twi_published_readable(twi_published_find("vgg19"), &readable, arch, 64));
    twi_text_free(&readable);
    tw_backbone *backbone;
    setenv("XDG_DATA_HOME", scratch(""), 1);
    assert_int_equal(tw_backbone_open(ctx, "resnet152", &backbone), TW_ERR_NOT_FOUND);
    assert_non_null(strstr(tw_last_error(ctx), "ee4c566cf9a93f14d82f913c2dc6dd0c"));
}

/* A row that no architecture answers to could never be pulled, and nobody would notice. */
static void every_published_row_can_be_read(void **state)
{
    (void)state;
    /* Rows whose architecture is still to come; none now. */
    static const char *const awaited[] = {""};
    const twi_published *row;
    twi_text readable = {0};
    char arch[64];
    assert_int_equal(twi_published_ask(ctx, &readable), TW_OK);
    for (size_t i = 0; (row = twi_published_at(i)); i++) {
        const bool known = twi_published_readable(row, &readable, arch, sizeof arch);
        bool waits = false;
        for (size_t k = 0; k < TWI_LEN(awaited); k++)
            waits = waits || !strcmp(awaited[k], row->name);
        if (known == waits)
            fail_msg("%s: architecture %s is %s", row->name, row->arch,
                     known ? "known by now" : "not in topwork-import --list=keras");
        if (known && strcmp(arch, row->arch) != 0)
            fail_msg("%s: architecture %s is called %s", row->name, row->arch, arch);
    }
    twi_text_free(&readable);
}

static int stop_at_check(void *user, const tw_progress *progress)
{
    (void)user;
    return strcmp(progress->stage, "check") == 0;
}

/* From a file, so without a network; tests/cli/cases/pull.case has the server. */
static void a_copy_is_pulled(void **state)
{
    (void)state;
    tw_pulled *pulled = NULL;
    tw_pull_opts opts;
    twi_digest digest;
    size_t size;
    char hex[TWI_DIGEST_HEX + 1], folder[512], cache[512];
    put_sapling(3);
    unsigned char *bytes = get_file(source, &size);
    twi_digest_start(&digest);
    twi_digest_add(&digest, bytes, size);
    twi_digest_finish(&digest, hex);
    free(bytes);
    strcpy(folder, scratch("installed"));
    strcpy(cache, scratch("cache"));
    tw_pull_opts_init(&opts);
    opts.from = source, opts.sha256 = hex, opts.folder = folder, opts.cache = cache;
    assert_int_equal(tw_backbone_pull(ctx, "twig", &opts, &pulled), TW_ERR_NOT_FOUND);
    opts.arch = "sapling";
    tw_ctx_set_progress(ctx, stop_at_check, NULL);
    assert_int_equal(tw_backbone_pull(ctx, "twig", &opts, &pulled), TW_ERR_CANCELLED);
    tw_ctx_set_progress(ctx, NULL, NULL);
    assert_int_not_equal(access(scratch("installed/twig.tw"), F_OK), 0);
    opts.import_json = "{\"name\":\"other\"}";
    expect_error(tw_backbone_pull(ctx, "twig", &opts, &pulled), TW_ERR_ARG, "is called twig");
    opts.import_json = "{\"dtype\":\"f16\"}";
    assert_null(pulled);
    assert_int_equal(tw_backbone_pull(ctx, "twig", &opts, &pulled), TW_OK);
    assert_string_equal(pulled->path, scratch("installed/twig.tw"));
    assert_string_equal(pulled->sha256, hex);
    assert_string_equal(pulled->source, source);
    assert_int_equal(pulled->file_bytes, size);
    assert_int_equal(pulled->received_bytes, 0);
    assert_false(pulled->was_installed);
    tw_pulled_free(pulled);
    opts.from = "/nonexistent"; /* not looked at: it is there */
    assert_int_equal(tw_backbone_pull(ctx, "twig", &opts, &pulled), TW_OK);
    assert_true(pulled->was_installed);
    assert_null(pulled->source);
    tw_pulled_free(pulled);
    opts.force = 1;
    expect_error(tw_backbone_pull(ctx, "twig", &opts, &pulled), TW_ERR_IO, "/nonexistent: No such");
    assert_int_equal(access(scratch("installed/twig.tw"), F_OK), 0);
    assert_int_not_equal(access(scratch("cache/downloads/twig.lock"), F_OK), 0);
    opts.size_bytes = 1;
    assert_int_equal(tw_backbone_pull(ctx, "twig", &opts, &pulled), TW_ERR_ARG);
}

static bool is_hex(const char *text, size_t n)
{
    return strlen(text) == n && text[strspn(text, "0123456789abcdef")] == '\0';
}

static void the_table_of_published_weights_is_in_order(void **state)
{
    (void)state;
    const twi_published *row;
    for (size_t i = 0; (row = twi_published_at(i)); i++) {
        assert_ptr_equal(twi_published_find(row->name), row); /* no name twice */
        assert_int_equal(strncmp(row->address, "https://", 8), 0);
        assert_true(row->input > 0 && row->features > 0);
        if (!row->hash) continue;
        const bool md5 = strncmp(row->hash, "md5:", 4) == 0;
        assert_true(md5 ? is_hex(row->hash + 4, 32)
                        : strncmp(row->hash, "sha256:", 7) == 0 && is_hex(row->hash + 7, 64));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_file_is_imported),
        cmocka_unit_test(the_childs_sentence_is_relayed),
        cmocka_unit_test(deaths_are_explained),
        cmocka_unit_test(hostile_files_end_in_a_sentence),
        cmocka_unit_test(hostile_keras_3_files_end_in_a_sentence),
        cmocka_unit_test(every_published_row_can_be_read),
        cmocka_unit_test(published_weights_come_with_commands),
        cmocka_unit_test(a_copy_is_pulled),
        cmocka_unit_test(the_table_of_published_weights_is_in_order),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
