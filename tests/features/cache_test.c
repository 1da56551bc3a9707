/* cache_test.c - what is put is found again, by anybody, after anything: other processes, kills,
 * full disks, damaged files. */
#include "../testing.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "features/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROW 100

static char folder[64];
static tw_ctx *ctx;

static int start(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/topwork-cache-XXXXXX");
    return mkdtemp(folder) && tw_ctx_new(&ctx) == TW_OK ? 0 : -1;
}

static int stop(void **state)
{
    size_t bytes;
    (void)state;
    chmod(folder, 0700);
    (void)tw_cache_clear(ctx, folder, &bytes);
    tw_ctx_free(ctx);
    return rmdir(folder);
}

static tw_status open_with(size_t max_bytes, tw_cache **out)
{
    tw_cache_opts opts;
    tw_cache_opts_init(&opts);
    opts.folder = folder;
    opts.max_bytes = max_bytes;
    return tw_cache_open(ctx, &opts, out);
}

static tw_cache *opened(size_t max_bytes)
{
    tw_cache *cache;
    if (open_with(max_bytes, &cache) != TW_OK) fail_msg("%s", tw_last_error(ctx));
    return cache;
}

/* Key and row of number i. */
static twi_key key_of(size_t i)
{
    twi_key key;
    twi_digest digest;
    twi_digest_start(&digest);
    twi_digest_add(&digest, &i, sizeof i);
    twi_digest_bytes(&digest, key.bytes);
    return key;
}

static void row_of(size_t i, float row[ROW])
{
    for (size_t j = 0; j < ROW; j++) row[j] = (float)(i * 1000 + j);
}

static void put(tw_cache *cache, size_t i)
{
    float row[ROW];
    const twi_key key = key_of(i);
    row_of(i, row);
    twi_cache_put(cache, &key, row, ROW);
}

/* 1: there and right; 0: not there. */
static int look(tw_cache *cache, size_t i)
{
    float row[ROW], right[ROW];
    const twi_key key = key_of(i);
    if (!twi_cache_get(cache, &key, row, ROW)) return 0;
    row_of(i, right);
    assert_memory_equal(row, right, sizeof row);
    return 1;
}

static size_t count(tw_cache *cache, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) found += (size_t)look(cache, i);
    return found;
}

static void note(void *user, tw_log_level level, const char *message)
{
    (void)level;
    snprintf(user, 512, "%s", message);
}

/* ---- keeping ------------------------------------------------------------------------------- */

static void rows_are_found_again(void **state)
{
    (void)state;
    tw_cache *cache = opened(0);
    tw_cache_info info;
    float row[ROW + 1];
    double number;
    const twi_key key = key_of(3);
    for (size_t i = 0; i < 500; i++) put(cache, i);
    twi_cache_put_number(cache, &key, 0.25);
    assert_int_equal(look(cache, 3), 0); /* not before it is written */
    twi_cache_flush(ctx, cache, true);
    assert_int_equal(count(cache, 600), 500);
    tw_cache_free(cache);
    cache = opened(0);
    assert_int_equal(count(cache, 600), 500);
    assert_false(twi_cache_get(cache, &key, row, ROW + 1)); /* of another length */
    assert_true(twi_cache_get_number(cache, &key, &number) && number == 0.25);
    assert_int_equal(tw_cache_describe(ctx, cache, &info), TW_OK);
    assert_int_equal(info.rows, 500);
    assert_string_equal(info.folder, folder);
    assert_true(info.used_bytes >= 500 * ROW * sizeof(float) && info.used_bytes < (2 << 20));
    tw_cache_free(cache);
}

static void what_was_used_longest_ago_makes_room(void **state)
{
    (void)state;
    const size_t n = 6000; /* 2.4 MB of rows */
    tw_cache_info info;
    tw_cache *cache = opened(1 << 20);
    for (size_t i = 0; i < n; i++) {
        put(cache, i);
        if (i % 50 == 0) twi_cache_flush(ctx, cache, true);
    }
    assert_int_equal(tw_cache_describe(ctx, cache, &info), TW_OK);
    assert_true(info.used_bytes <= (1 << 20));
    if (info.rows < 400 || info.rows > 2600)
        fail_msg("%zu rows in %zu bytes", info.rows, info.used_bytes);
    tw_cache_free(cache);
    /* A later run uses some; they outlive those of the same age that it did not use. */
    size_t kept[20], n_kept = 0;
    cache = opened(1 << 20);
    for (size_t i = 0; i < n && n_kept < 20; i++)
        if (look(cache, i)) kept[n_kept++] = i;
    assert_int_equal(n_kept, 20);
    for (size_t i = n; i < n + 900; i++) {
        put(cache, i);
        if (i % 50 == 0) twi_cache_flush(ctx, cache, true);
    }
    twi_cache_flush(ctx, cache, true);
    for (size_t i = 0; i < n_kept; i++) assert_int_equal(look(cache, kept[i]), 1);
    struct stat s;
    char path[128];
    snprintf(path, sizeof path, "%s/features/data.mdb", folder);
    assert_int_equal(stat(path, &s), 0);
    assert_true(s.st_size <= (1 << 20));
    tw_cache_free(cache);
}

static void the_map_grows_with_the_file(void **state)
{
    (void)state;
    const size_t n = 120000; /* beyond the first map */
    tw_cache *cache = opened(0);
    for (size_t i = 0; i < n; i++) {
        put(cache, i);
        if (i % 5000 == 0) twi_cache_flush(ctx, cache, true);
    }
    twi_cache_flush(ctx, cache, true);
    assert_int_equal(look(cache, 0) + look(cache, n / 2) + look(cache, n - 1), 3);
    tw_cache_free(cache);
}

/* ---- files --------------------------------------------------------------------------------- */

static void unchanged_files_are_known(void **state)
{
    (void)state;
    struct stat s = {.st_dev = 1, .st_ino = 2, .st_size = 300};
    const twi_key digest = key_of(9);
    twi_key found;
    s.st_mtim.tv_sec = s.st_ctim.tv_sec = 1000;
    tw_cache *cache = opened(0);
    twi_cache_note_file(cache, &s, 1001.5, &digest); /* it may change within the same second */
    twi_cache_flush(ctx, cache, true);
    assert_false(twi_cache_known_file(cache, &s, &found));
    twi_cache_note_file(cache, &s, 1002.5, &digest);
    twi_cache_flush(ctx, cache, true);
    assert_true(twi_cache_known_file(cache, &s, &found));
    assert_memory_equal(&found, &digest, sizeof found);
    struct stat other = s;
    other.st_size++;
    assert_false(twi_cache_known_file(cache, &other, &found));
    other = s, other.st_mtim.tv_nsec++;
    assert_false(twi_cache_known_file(cache, &other, &found));
    other = s, other.st_ctim.tv_sec++; /* somebody put the modification time back */
    assert_false(twi_cache_known_file(cache, &other, &found));
    other = s, other.st_ino++;
    assert_false(twi_cache_known_file(cache, &other, &found));
    tw_cache_free(cache);
}

/* ---- other processes ----------------------------------------------------------------------- */

static void one_process_opens_it_once(void **state)
{
    (void)state;
    tw_cache *cache = opened(0), *again;
    assert_int_equal(open_with(0, &again), TW_ERR_ARG);
    assert_non_null(strstr(tw_last_error(ctx), "in this process already"));
    tw_cache_free(cache);
    tw_cache_free(opened(0));
}

static void two_processes_share_it(void **state)
{
    (void)state;
    pid_t children[2];
    for (size_t c = 0; c < 2; c++) {
        if ((children[c] = fork()) != 0) continue;
        tw_cache *mine = NULL;
        if (open_with(0, &mine) != TW_OK) _exit(1);
        for (size_t i = 0; i < 2000; i++) {
            put(mine, 2 * i + c);
            if (i % 40 == 0) twi_cache_flush(ctx, mine, true);
            if (i > 100 && !look(mine, 2 * (i - 100) + c)) _exit(2);
        }
        tw_cache_free(mine);
        _exit(0);
    }
    for (size_t c = 0; c < 2; c++) {
        int status;
        assert_int_equal(waitpid(children[c], &status, 0), children[c]);
        assert_int_equal(status, 0);
    }
    tw_cache *cache = opened(0);
    assert_int_equal(count(cache, 4000), 4000);
    tw_cache_free(cache);
}

static void a_child_does_not_touch_its_parents(void **state)
{
    (void)state;
    tw_cache *cache = opened(0);
    put(cache, 1);
    twi_cache_flush(ctx, cache, true);
    const pid_t child = fork();
    if (child == 0) {
        put(cache, 2);
        _exit(look(cache, 1)); /* in the child there is nothing */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(look(cache, 1), 1);
    tw_cache_free(cache);
}

/* Writes rows from `from` on without end; tells after each flush how many are safe. */
static void write_until_killed(int to, size_t from)
{
    tw_cache *mine;
    if (open_with(0, &mine) != TW_OK) {
        print_error("writer: %s\n", tw_last_error(ctx));
        _exit(1);
    }
    for (size_t i = from;; i++) {
        put(mine, i);
        if (i % 7 != 0) continue;
        twi_cache_flush(ctx, mine, true);
        const size_t safe = i + 1;
        if (write(to, &safe, sizeof safe) != sizeof safe) _exit(1);
    }
}

/* A hundred times: a writer is killed at a random instant; what it said was written is there, and
 * whatever is there is right. */
static void kills_at_any_instant_do_no_harm(void **state)
{
    (void)state;
    twi_rng rng;
    size_t safe = 0, beyond = 0;
    twi_rng_seed(&rng, (uint32_t)time(NULL));
    for (size_t kill_number = 0; kill_number < 100; kill_number++) {
        int pipe_ends[2];
        assert_int_equal(pipe(pipe_ends), 0);
        const pid_t child = fork();
        if (child == 0) {
            close(pipe_ends[0]);
            write_until_killed(pipe_ends[1], safe);
        }
        close(pipe_ends[1]);
        const struct timespec pause = {0, (long)twi_rng_interval(&rng, 25000000)};
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        for (size_t said; read(pipe_ends[0], &said, sizeof said) == sizeof said;) safe = said;
        close(pipe_ends[0]);
        tw_cache *cache = opened(0);
        for (size_t i = 0; i < safe; i++)
            if (!look(cache, i)) fail_msg("kill %zu: row %zu of %zu is lost", kill_number, i, safe);
        for (size_t i = safe; i < safe + 8; i++) beyond += (size_t)look(cache, i);
        tw_cache_free(cache);
    }
    print_message("100 kills; %zu rows acknowledged, all there and right; %zu written but not yet "
                  "acknowledged\n",
                  safe, beyond);
    assert_true(safe > 0);
}

/* ---- trouble ------------------------------------------------------------------------------- */

static void damage(off_t at, const char *bytes, size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "%s/features/data.mdb", folder);
    const int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, at), n);
    close(fd);
}

static void damaged_files_are_refused_and_left(void **state)
{
    (void)state;
    char path[128];
    struct stat s;
    tw_cache *cache = opened(0);
    for (size_t i = 0; i < 3000; i++) put(cache, i);
    tw_cache_free(cache);
    snprintf(path, sizeof path, "%s/features/data.mdb", folder);
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(truncate(path, s.st_size / 2), 0);
    assert_int_equal(open_with(0, &cache), TW_ERR_FORMAT);
    assert_non_null(strstr(tw_last_error(ctx), "cache clear"));
    damage(0, "this is no database, it is a letter to my aunt", 46);
    damage(4096, "this is no database, it is a letter to my aunt", 46);
    assert_int_equal(open_with(0, &cache), TW_ERR_FORMAT);
    assert_int_equal(stat(path, &s), 0);
    size_t bytes;
    assert_int_equal(tw_cache_clear(ctx, folder, &bytes), TW_OK);
    assert_true(bytes > 0);
    assert_int_not_equal(stat(path, &s), 0);
    tw_cache_free(opened(0));
}

/* A flipped bit in a row's page is found by the row's check. */
static void a_harmed_row_is_not_there(void **state)
{
    (void)state;
    tw_cache *cache = opened(0);
    float row[ROW];
    char path[128];
    put(cache, 77);
    tw_cache_free(cache);
    row_of(77, row);
    snprintf(path, sizeof path, "%s/features/data.mdb", folder);
    unsigned char *bytes = NULL;
    size_t capacity = 0, size = 0, flipped = 0;
    assert_int_equal(twi_file_read(ctx, path, 1 << 26, &bytes, &capacity, &size), TW_OK);
    for (size_t at = 0; at + sizeof row <= size; at++)
        if (memcmp(bytes + at, row, sizeof row) == 0) {
            damage((off_t)(at + 40), "?", 1);
            flipped++;
        }
    twi_free(bytes);
    assert_true(flipped > 0);
    cache = opened(0);
    assert_int_equal(look(cache, 77), 0);
    tw_cache_free(cache);
}

static void a_full_disk_is_a_warning(void **state)
{
    (void)state;
    char told[512] = "";
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit small = {200000, 200000};
        tw_cache *cache;
        signal(SIGXFSZ, SIG_IGN);
        tw_ctx_set_log(ctx, note, told);
        if (open_with(0, &cache) != TW_OK) _exit(1);
        if (setrlimit(RLIMIT_FSIZE, &small) != 0) _exit(2);
        for (size_t i = 0; i < 3000; i++) {
            put(cache, i);
            if (i % 100 == 0) twi_cache_flush(ctx, cache, true);
        }
        if (!strstr(told, "the run goes on without writing")) _exit(3);
        if (!look(cache, 0)) _exit(4); /* what was written before is there */
        told[0] = '\0';
        put(cache, 5000);
        twi_cache_flush(ctx, cache, true);
        if (told[0]) _exit(5); /* said once */
        tw_cache_free(cache);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
    tw_cache *cache = opened(0);
    assert_int_equal(look(cache, 0), 1);
    tw_cache_free(cache);
}

static void little_address_space_is_enough(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    print_message("SKIPPED: a sanitizer's own memory does not fit a limited address space\n");
    skip();
#endif
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit small = {256 << 20, 256 << 20};
        tw_cache *cache;
        if (setrlimit(RLIMIT_AS, &small) != 0) _exit(2);
        if (open_with(0, &cache) != TW_OK) _exit(1);
        tw_cache_info info;
        put(cache, 1);
        if (tw_cache_describe(ctx, cache, &info) != TW_OK) _exit(3);
        if (info.limit_bytes > (128 << 20) || info.rows != 1) _exit(4);
        tw_cache_free(cache);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void folders_that_cannot_be_are_refused(void **state)
{
    (void)state;
    tw_cache_opts opts;
    tw_cache *cache;
    size_t bytes;
    char path[128];
    tw_cache_opts_init(&opts);
    snprintf(path, sizeof path, "%s/file", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    opts.folder = path;
    assert_int_equal(tw_cache_open(ctx, &opts, &cache), TW_ERR_IO);
    unlink(path);
    opts.folder = folder;
    opts.max_bytes = 1000;
    assert_int_equal(tw_cache_open(ctx, &opts, &cache), TW_ERR_ARG);
    opts.max_bytes = 0;
    opts.size_bytes = 0;
    assert_int_equal(tw_cache_open(ctx, &opts, &cache), TW_ERR_ARG);
    snprintf(path, sizeof path, "%s/nothing", folder);
    assert_int_equal(tw_cache_clear(ctx, path, &bytes), TW_OK);
    assert_int_equal(bytes, 0);
}

/* What is not the cache's own stays where it is. */
static void clearing_takes_only_its_own(void **state)
{
    (void)state;
    char path[160];
    size_t bytes, found = 0;
    tw_cache_free(opened(0));
    snprintf(path, sizeof path, "%s/features/diary.txt", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(tw_cache_clear(ctx, folder, &bytes), TW_ERR_IO);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        if (strncmp(e->d_name, "features.gone", 13) != 0) continue;
        snprintf(path, sizeof path, "%s/%.60s/diary.txt", folder, e->d_name);
        found += access(path, F_OK) == 0;
        unlink(path);
        snprintf(path, sizeof path, "%s/%.60s", folder, e->d_name);
        rmdir(path);
    }
    closedir(dir);
    assert_int_equal(found, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_are_found_again),
        TEST(what_was_used_longest_ago_makes_room),
        TEST(the_map_grows_with_the_file),
        TEST(unchanged_files_are_known),
        TEST(one_process_opens_it_once),
        TEST(two_processes_share_it),
        TEST(a_child_does_not_touch_its_parents),
        TEST(kills_at_any_instant_do_no_harm),
        TEST(damaged_files_are_refused_and_left),
        TEST(a_harmed_row_is_not_there),
        TEST(a_full_disk_is_a_warning),
        TEST(little_address_space_is_enough),
        TEST(folders_that_cannot_be_are_refused),
        TEST(clearing_takes_only_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
