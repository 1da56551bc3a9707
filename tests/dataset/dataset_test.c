/* dataset_test.c - folders and manifests, drawn into a temporary folder. */
#include "../testing.h"

#include "dataset/dataset.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* ---- a temporary folder --------------------------------------------------------------------- */

static tw_ctx *ctx;
static char root[] = "/tmp/topwork-dataset-XXXXXX";

static const char *at(const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static void folder(const char *name)
{
    assert_int_equal(mkdir(at(name), 0777), 0);
}

static void file(const char *name, const void *bytes, size_t size)
{
    FILE *f = fopen(at(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void photo(const char *name)
{
    file(name, "\xff\xd8\xff\xe0 enough", 11);
}

static void text(const char *name, const char *content)
{
    file(name, content, strlen(content));
}

static int setup(void **state)
{
    (void)state;
    memcpy(root + strlen(root) - 6, "XXXXXX", 6);
    return tw_ctx_new(&ctx) == TW_OK && mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[600];
    tw_ctx_free(ctx);
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static tw_dataset *opened(const char *name)
{
    tw_dataset *set = NULL;
    const tw_status st = tw_dataset_open(ctx, at(name), NULL, &set);
    if (st != TW_OK) printf("%s\n", tw_last_error(ctx));
    assert_int_equal(st, TW_OK);
    return set;
}

/* Opening fails with TW_ERR_DATA and a message holding words. */
static void refused_with(const char *name, const tw_dataset_opts *opts, const char *words)
{
    tw_dataset *set = NULL;
    assert_int_equal(tw_dataset_open(ctx, at(name), opts, &set), TW_ERR_DATA);
    assert_null(set);
    if (!strstr(tw_last_error(ctx), words)) printf("%s\n", tw_last_error(ctx));
    assert_non_null(strstr(tw_last_error(ctx), words));
}

static void refused(const char *name, const char *words)
{
    refused_with(name, NULL, words);
}

static const char *reason_of(const tw_dataset *set, const char *path)
{
    for (size_t i = 0; i < tw_dataset_skipped_count(set); i++)
        if (strcmp(tw_dataset_skipped_path(set, i), path) == 0)
            return tw_dataset_skipped_reason(set, i);
    return "not skipped";
}

/* ---- folders -------------------------------------------------------------------------------- */

/* load_files on Z/{0..4}.jpg, a/{0..4}.jpg gives RandomState(0).shuffle(arange(10)): 2 8 4 9 1 6 7
 * 3 0 5. */
static void order_is_load_files(void **state)
{
    (void)state;
    static const int order[] = {2, 8, 4, 9, 1, 6, 7, 3, 0, 5};
    char name[16];
    folder("a"), folder("Z");
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "%c/%d.jpg", i < 5 ? 'Z' : 'a', i % 5);
        photo(name);
    }
    text("a/.DS_Store", "x"), text("Z/Thumbs.db", "\xd0\xcf\x11\xe0"), text("readme.txt", "hi");
    tw_dataset *set = opened("");
    assert_int_equal(tw_dataset_count(set), 10);
    assert_int_equal(tw_dataset_class_count(set), 2);
    assert_string_equal(tw_dataset_class_name(set, 0), "Z");
    assert_string_equal(tw_dataset_class_name(set, 1), "a");
    for (size_t i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "%c/%d.jpg", order[i] < 5 ? 'Z' : 'a', order[i] % 5);
        assert_string_equal(tw_dataset_path(set, i), at(name));
        assert_string_equal(twi_dataset_relative_path(set, i), name);
        assert_int_equal(tw_dataset_label(set, i), order[i] >= 5);
        assert_int_equal(twi_dataset_labels(set)[i], order[i] >= 5);
        assert_int_equal(tw_dataset_part(set, i), TW_PART_NONE);
    }
    assert_false(twi_dataset_has_parts(set));
    assert_null(tw_dataset_path(set, 10));
    assert_null(tw_dataset_class_name(set, 2));
    assert_int_equal(tw_dataset_skipped_count(set), 3);
    assert_string_equal(reason_of(set, at("a/.DS_Store")), "hidden file");
    assert_string_equal(reason_of(set, at("Z/Thumbs.db")), "does not start like a picture");
    assert_string_equal(reason_of(set, at("readme.txt")), "not inside a class folder");
    tw_dataset_free(set);
}

static void oddities_are_skipped(void **state)
{
    (void)state;
    folder("a"), folder("b"), folder("a/deep"), folder(".git"), folder("elsewhere");
    photo("a/1.jpg"), photo("b/1.jpg"), photo("a/deep/2.jpg"), photo(".git/x.jpg");
    photo("elsewhere/real.jpg");
    file("a/empty.jpg", "", 0);
    file("a/\xff\xfe.jpg", "\x89PNG\r\n\x1a\n", 8); /* a name that is not UTF-8 */
    assert_int_equal(mkfifo(at("a/pipe.jpg"), 0666), 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s/a/socket.jpg", root);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof name), 0);
    close(fd);
    assert_int_equal(symlink("/dev/zero", at("a/zero.jpg")), 0);
    assert_int_equal(symlink("nowhere", at("a/gone.jpg")), 0);
    assert_int_equal(symlink("round.jpg", at("a/round.jpg")), 0);
    assert_int_equal(symlink("../elsewhere/real.jpg", at("a/link.jpg")), 0);
    assert_int_equal(symlink("/dev/full", at("loose")), 0);
    tw_dataset *set = opened("");
    assert_int_equal(tw_dataset_count(set), 5);
    assert_string_equal(reason_of(set, at(".git")), "hidden folder");
    assert_string_equal(reason_of(set, at("a/deep")), "a folder, not a picture file");
    assert_string_equal(reason_of(set, at("a/empty.jpg")), "empty file");
    assert_string_equal(reason_of(set, at("a/gone.jpg")), "a symbolic link that leads nowhere");
    assert_string_equal(reason_of(set, at("a/link.jpg")), "not skipped");
    static const char *const special[] = {"a/pipe.jpg", "a/socket.jpg", "a/zero.jpg"};
    for (size_t i = 0; i < TWI_LEN(special); i++)
        assert_string_equal(reason_of(set, at(special[i])),
                            "not a regular file (a pipe, socket or device)");
    assert_non_null(strstr(reason_of(set, at("a/round.jpg")), "symbolic links"));
    tw_dataset_free(set);
}

static void categories(void **state)
{
    (void)state;
    static const char *const two[] = {"dog", "bird"}, *const again[] = {"dog", "dog"};
    static const char *const none[] = {"dog", "wolf"}, *const one[] = {"cat"};
    folder("bird"), folder("cat"), folder("dog");
    photo("bird/1.jpg"), photo("cat/1.jpg"), photo("dog/1.jpg");
    tw_dataset_opts opts;
    tw_dataset_opts_init(&opts);
    opts.categories = two, opts.n_categories = 2;
    tw_dataset *set;
    assert_int_equal(tw_dataset_open(ctx, at(""), &opts, &set), TW_OK);
    assert_int_equal(tw_dataset_count(set), 2);
    assert_string_equal(tw_dataset_class_name(set, 0), "bird");
    assert_string_equal(tw_dataset_class_name(set, 1), "dog");
    tw_dataset_free(set);
    opts.categories = again;
    refused_with("", &opts, "category dog is given twice");
    opts.categories = none;
    refused_with("", &opts, "no category wolf; what is there: bird, cat, dog");
    opts.categories = one, opts.n_categories = 1;
    refused_with("", &opts, "only one class (cat)");
    opts.to_measure = 1; /* a model may be asked about cats alone */
    assert_int_equal(tw_dataset_open(ctx, at(""), &opts, &set), TW_OK);
    assert_int_equal(tw_dataset_class_count(set), 1);
    tw_dataset_free(set);
    opts.to_measure = 0;
    opts.n_categories = 0;
    assert_int_equal(tw_dataset_open(ctx, at(""), &opts, &set), TW_ERR_ARG);
    opts.size_bytes = 0;
    assert_int_equal(tw_dataset_open(ctx, at(""), &opts, &set), TW_ERR_ARG);
}

static void folder_refusals(void **state)
{
    (void)state;
    refused("nothing", "there is no such folder");
    refused("", "no class in it (0 files, no folder)");
    photo("loose.jpg");
    refused("", "no class in it (1 files, no folder)");
    refused("loose.jpg", "is a picture; need a folder");
    assert_int_equal(mkfifo(at("pipe"), 0666), 0);
    refused("pipe", "neither a folder nor a CSV manifest");
    folder("cat"), photo("cat/1.jpg");
    refused("", "only one class (cat)");
    folder("dog");
    refused("", "class dog has no pictures");
    text("dog/notes.txt", "bark");
    refused("", "dog/notes.txt: does not start like a picture");
    photo("dog/1.jpg");
    tw_dataset *set = opened("");
    assert_int_equal(twi_dataset_check_stratified(ctx, set), TW_ERR_DATA);
    assert_non_null(strstr(tw_last_error(ctx), "class cat has only 1 photo"));
    tw_dataset_free(set);
    assert_int_equal(symlink("dog", at("hound")), 0);
    refused("", "the same class twice");
    assert_int_equal(unlink(at("hound")), 0);
    assert_int_equal(symlink("..", at("cat/up")), 0);
    assert_int_equal(symlink(".", at("self")), 0);
    refused("", "the same class twice");
}

static void folders_of_parts(void **state)
{
    (void)state;
    folder("train"), folder("val"), folder("test");
    folder("train/a"), folder("train/b"), folder("val/b"), folder("test/a");
    photo("train/a/1.jpg"), photo("train/b/1.jpg"), photo("train/b/2.jpg");
    photo("val/b/3.jpg"), photo("test/a/4.jpg");
    tw_dataset *set = opened("");
    assert_int_equal(tw_dataset_count(set), 5);
    assert_true(twi_dataset_has_parts(set));
    assert_int_equal(tw_dataset_part(set, 2), TW_PART_TRAIN);
    assert_int_equal(tw_dataset_part(set, 3), TW_PART_VAL);
    assert_int_equal(tw_dataset_label(set, 3), 1);
    assert_string_equal(twi_dataset_relative_path(set, 3), "val/b/3.jpg");
    assert_int_equal(tw_dataset_part(set, 4), TW_PART_TEST);
    tw_dataset_free(set);
    folder("test/c"), photo("test/c/1.jpg");
    refused("", "class c is not in train/");
    folder("train/c");
    refused("", "class c has no pictures to train on");
    folder("bus"), photo("bus/1.jpg"), photo("train/1.jpg"), photo("val/1.jpg"),
        photo("test/1.jpg");
    set = opened(""); /* train is a class here */
    assert_int_equal(tw_dataset_class_count(set), 4);
    assert_false(twi_dataset_has_parts(set));
    tw_dataset_free(set);
}

/* ---- manifests ------------------------------------------------------------------------------ */

static void manifest(void **state)
{
    (void)state;
    folder("img");
    photo("img/a.jpg"), photo("img/b, \"1\".jpg"), photo("img/c.jpg"), photo("img/.d.jpg");
    text("img/e.jpg", "not a photo");
    char content[2048];
    snprintf(content, sizeof content,
             "\xef\xbb\xbflabel,notes,path,split\r\n"
             "dog,,img/c.jpg,train\r\n"
             "\r\n"
             "\"cat\",\"two\nlines\",\"img/b, \"\"1\"\".jpg\",train\n"
             "dog,,img/.d.jpg,val\n"
             "dog,,img/c.jpg,train\n"
             "cat,x,img/gone.jpg,test\n"
             "cat,x,img/e.jpg,test\n"
             "cat,x,%s/img/a.jpg,test",
             root);
    text("m.csv", content);
    tw_dataset *set = opened("m.csv");
    assert_int_equal(tw_dataset_count(set), 4);
    assert_string_equal(tw_dataset_class_name(set, 0), "cat");
    assert_string_equal(tw_dataset_path(set, 0), at("img/c.jpg"));
    assert_int_equal(tw_dataset_label(set, 0), 1);
    assert_string_equal(twi_dataset_relative_path(set, 1), "img/b, \"1\".jpg");
    assert_int_equal(tw_dataset_part(set, 2), TW_PART_VAL);
    assert_int_equal(tw_dataset_part(set, 3), TW_PART_TEST);
    assert_string_equal(twi_dataset_relative_path(set, 3), "img/a.jpg");
    assert_true(twi_dataset_has_parts(set));
    assert_int_equal(tw_dataset_skipped_count(set), 3);
    assert_string_equal(reason_of(set, at("img/c.jpg")), "listed twice, first on line 2");
    assert_string_equal(reason_of(set, at("img/gone.jpg")), "No such file or directory");
    assert_string_equal(reason_of(set, at("img/e.jpg")), "does not start like a picture");
    tw_dataset_free(set);
}

static void manifest_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *content, *words;
    } cases[] = {
        {"", "line 1: a manifest begins with the line path,label"},
        {"file;label\n", "no column path in: file;label"},
        {"path,kind\na.jpg,b\n", "no column label in: path, kind"},
        {"path,label,path\n", "column path twice"},
        {"path,label\n", "a header line and nothing below it"},
        {"path,label\na.jpg\n", "line 2: 1 fields, the header has 2"},
        {"path,label\n\na.jpg,b,c\n", "line 3: 3 fields"},
        {"path,label\n,b\n", "line 2: no path"},
        {"path,label\na.jpg,\n", "line 2: no label"},
        {"path,label\na.jpg,\"b\n\n", "line 4: a quoted field is not closed"},
        {"path,label\na.jpg,\"b\"c\n", "line 2: text behind a closing quote"},
        {"path,label\na.jpg,b\"c\n", "line 2: a quote inside a field"},
        {"path,label\ra.jpg,b\r", "line 1: a carriage return"},
        {"path,label,split\na.jpg,b,dev\n", "line 2: split is \"dev\""},
        {"path,label\na.jpg,b\na.jpg,c\n", "lines 2 and 3 give a.jpg two labels, b and c"},
        {"path,label,split\na.jpg,b,val\na.jpg,b,test\n", "lines 2 and 3 put a.jpg into two parts"},
        {"\xff\xfep\n", "is UTF-16"},
        {"path,label\na.jpg,b\nb.jpg,b\n", "only one class (b)"},
        {"path,label\na.jpg,b\ngone.jpg,c\n", "class c has no pictures"},
        {"path,label,split\na.jpg,b,val\nb.jpg,c,train\n", "class b has no pictures to train on"},
    };
    photo("a.jpg"), photo("b.jpg");
    for (size_t i = 0; i < TWI_LEN(cases); i++) {
        text("m.csv", cases[i].content);
        refused("m.csv", cases[i].words);
    }
    static const char *const wanted[] = {"b", "z"};
    tw_dataset_opts opts;
    tw_dataset_opts_init(&opts);
    opts.categories = wanted, opts.n_categories = 2;
    text("m.csv", "path,label\na.jpg,b\nb.jpg,c\n");
    refused_with("m.csv", &opts, "no category z; what is there: b, c");
}

/* ---- cancelling ----------------------------------------------------------------------------- */

static int stop(void *user, const tw_progress *progress)
{
    (void)user;
    return strcmp(progress->stage, "scan") == 0;
}

static void cancelled(void **state)
{
    (void)state;
    folder("a"), folder("b");
    photo("a/1.jpg"), photo("b/1.jpg");
    tw_dataset *set = NULL;
    tw_ctx_set_progress(ctx, stop, NULL);
    assert_int_equal(tw_dataset_open(ctx, root, NULL, &set), TW_ERR_CANCELLED);
    assert_null(set);
}

/* Real photos, a GIF posing as a JPEG and a name with a space among them. */
static void shared_photos(void **state)
{
    (void)state;
    tw_dataset *set;
    assert_int_equal(tw_dataset_open(ctx, shared_data("photos/hymenoptera_train"), NULL, &set),
                     TW_OK);
    assert_int_equal(tw_dataset_count(set), 245);
    tw_dataset_free(set);
    assert_int_equal(tw_dataset_open(ctx, shared_data("photos/catsdogs"), NULL, &set), TW_OK);
    assert_int_equal(tw_dataset_count(set), 1000);
    assert_int_equal(tw_dataset_skipped_count(set), 0);
    tw_dataset_free(set);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(order_is_load_files), EACH(oddities_are_skipped),
        EACH(categories),          EACH(folder_refusals),
        EACH(folders_of_parts),    EACH(manifest),
        EACH(manifest_refusals),   EACH(cancelled),
        EACH(shared_photos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
