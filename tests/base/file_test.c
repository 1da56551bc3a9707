/* file_test.c - reading, mapping and atomic replacement. */
#include "../testing.h"

#include "base/file.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

static tw_ctx *ctx;
static char root[] = "/tmp/topwork-file-XXXXXX";

static const char *at(const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
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

static void put(const char *name, const char *text)
{
    FILE *f = fopen(at(name), "wb");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void holds(const char *name, const char *text)
{
    unsigned char *buffer = NULL;
    size_t capacity = 0, size;
    assert_int_equal(twi_file_read(ctx, at(name), 1 << 20, &buffer, &capacity, &size), TW_OK);
    assert_int_equal(size, strlen(text));
    if (size) assert_memory_equal(buffer, text, size);
    twi_free(buffer);
}

static size_t entries(void)
{
    size_t n = 0;
    DIR *dir = opendir(root);
    assert_non_null(dir);
    while (readdir(dir)) n++;
    closedir(dir);
    return n - 2; /* . and .. */
}

static mode_t mode_of(const char *name)
{
    struct stat info;
    assert_int_equal(stat(at(name), &info), 0);
    return info.st_mode & 07777;
}

static void reading(void **state)
{
    (void)state;
    unsigned char *buffer = NULL;
    size_t capacity = 0, size = 99;
    put("a", "hello"), put("empty", "");
    holds("a", "hello");
    holds("empty", "");
    assert_int_equal(twi_file_read(ctx, at("a"), 4, &buffer, &capacity, &size), TW_ERR_DATA);
    assert_int_equal(twi_file_read(ctx, at("none"), 9, &buffer, &capacity, &size), TW_ERR_IO);
    assert_non_null(strstr(tw_last_error(ctx), "No such file"));
    assert_int_equal(twi_file_read(ctx, root, 9, &buffer, &capacity, &size), TW_ERR_IO);
    assert_int_equal(mkfifo(at("pipe"), 0666), 0);
    assert_int_equal(twi_file_read(ctx, at("pipe"), 9, &buffer, &capacity, &size), TW_ERR_IO);
    assert_int_equal(twi_file_read(ctx, "/dev/zero", 9, &buffer, &capacity, &size), TW_ERR_IO);
    assert_non_null(strstr(tw_last_error(ctx), "not a regular file"));
    assert_int_equal(size, 99);
    twi_free(buffer);
}

static void mapping(void **state)
{
    (void)state;
    twi_map map;
    put("a", "hello"), put("empty", "");
    assert_int_equal(twi_map_open(ctx, at("a"), &map), TW_OK);
    assert_int_equal(map.size, 5);
    assert_memory_equal(map.data, "hello", 5);
    twi_map_forget(&map, 0, SIZE_MAX);
    twi_map_forget(&map, 1, 3);
    assert_memory_equal(map.data, "hello", 5);
    twi_map_close(&map);
    twi_map_close(&map);
    assert_int_equal(twi_map_open(ctx, at("empty"), &map), TW_OK);
    assert_int_equal(map.size, 0);
    assert_null(map.data);
    twi_map_close(&map);
    assert_int_equal(mkfifo(at("pipe"), 0666), 0);
    assert_int_equal(twi_map_open(ctx, at("pipe"), &map), TW_ERR_IO);
    assert_int_equal(twi_map_open(ctx, root, &map), TW_ERR_IO);
    assert_true(twi_path_exists(at("pipe")));
    assert_false(twi_path_exists(at("none")));
}

static void replacement(void **state)
{
    (void)state;
    twi_outfile *out;
    char back[3];
    put("a", "old");
    assert_int_equal(chmod(at("a"), 0640), 0);
    assert_int_equal(twi_outfile_open(ctx, at("a"), &out), TW_OK);
    assert_int_equal(twi_outfile_write(ctx, out, "??? new", 7), TW_OK);
    assert_int_equal(twi_outfile_write_at(ctx, out, 0, "the", 3), TW_OK);
    assert_int_equal(twi_outfile_write(ctx, out, "!", 1), TW_OK);
    assert_int_equal(twi_outfile_read_at(ctx, out, 4, back, 3), TW_OK);
    assert_memory_equal(back, "new", 3);
    assert_int_equal(twi_outfile_read_at(ctx, out, 7, back, 3), TW_ERR_IO);
    holds("a", "old"); /* until commit */
    assert_int_equal(twi_outfile_commit(ctx, out), TW_OK);
    twi_outfile_free(out);
    holds("a", "the new!");
    assert_int_equal(mode_of("a"), 0640);
    assert_int_equal(entries(), 1);
}

static void giving_up_leaves_nothing(void **state)
{
    (void)state;
    twi_outfile *out;
    put("a", "old");
    assert_int_equal(twi_outfile_open(ctx, at("a"), &out), TW_OK);
    assert_int_equal(twi_outfile_write(ctx, out, "half", 4), TW_OK);
    twi_outfile_free(out);
    twi_outfile_free(NULL);
    holds("a", "old");
    assert_int_equal(entries(), 1);
}

static void fresh_file_obeys_umask(void **state)
{
    (void)state;
    twi_outfile *out;
    const mode_t before = umask(027);
    assert_int_equal(twi_outfile_open(ctx, at("a"), &out), TW_OK);
    assert_int_equal(twi_outfile_commit(ctx, out), TW_OK);
    twi_outfile_free(out);
    umask(before);
    assert_int_equal(mode_of("a"), 0640);
    holds("a", "");
}

static void links_and_special_files(void **state)
{
    (void)state;
    twi_outfile *out = NULL;
    struct stat info;
    put("real", "old");
    assert_int_equal(symlink("real", at("link")), 0);
    assert_int_equal(twi_outfile_open(ctx, at("link"), &out), TW_OK);
    assert_int_equal(twi_outfile_write(ctx, out, "new", 3), TW_OK);
    assert_int_equal(twi_outfile_commit(ctx, out), TW_OK);
    twi_outfile_free(out);
    holds("real", "new");
    assert_int_equal(lstat(at("link"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    out = NULL;
    assert_int_equal(mkfifo(at("pipe"), 0666), 0);
    assert_int_equal(twi_outfile_open(ctx, at("pipe"), &out), TW_ERR_IO);
    assert_int_equal(twi_outfile_open(ctx, root, &out), TW_ERR_IO);
    assert_int_equal(twi_outfile_open(ctx, "/dev/null", &out), TW_ERR_IO);
    assert_int_equal(twi_outfile_open(ctx, at("no/such/folder"), &out), TW_ERR_IO);
    assert_null(out);
    assert_int_equal(entries(), 3);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(reading),
        EACH(mapping),
        EACH(replacement),
        EACH(giving_up_leaves_nothing),
        EACH(fresh_file_obeys_umask),
        EACH(links_and_special_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
