/* npy_test.c - .npy files and the nameless matrix file: bytes, atomic replacement, a full disk. */
#include "features/features.h"

#include "../testing.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

static char folder[64];
static tw_ctx *ctx;

static int folder_make(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/topwork-npy-XXXXXX");
    return !mkdtemp(folder) || tw_ctx_new(&ctx) != TW_OK;
}

/* Fails when anything but x.npy was left behind. */
static int folder_remove(void **state)
{
    (void)state;
    char path[96];
    snprintf(path, sizeof path, "%s/x.npy", folder);
    remove(path);
    tw_ctx_free(ctx);
    return rmdir(folder);
}

static const char *file_path(void)
{
    static char path[96];
    snprintf(path, sizeof path, "%s/x.npy", folder);
    return path;
}

static size_t file_bytes(unsigned char *bytes, size_t capacity)
{
    FILE *file = fopen(file_path(), "rb");
    if (!file) return 0;
    const size_t n = fread(bytes, 1, capacity, file);
    fclose(file);
    return n;
}

static size_t folder_entries(void)
{
    size_t n = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir));) n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* The bytes numpy.save() of NumPy 1.24 writes for np.arange(6, dtype='<f4').reshape(2, 3):
 * make_npy.py. */
static void test_bytes_are_numpys(void **state)
{
    (void)state;
    static const unsigned char golden[] = {
#include "npy_golden.inc"
    };
    static const float rows[] = {0, 1, 2, 3, 4, 5};
    unsigned char bytes[256];
    twi_npy *npy;
    assert_int_equal(twi_npy_create(ctx, file_path(), 3, &npy), TW_OK);
    assert_int_equal(file_bytes(bytes, sizeof bytes), 0); /* not there before commit */
    assert_int_equal(twi_npy_append(ctx, npy, rows, 1), TW_OK);
    assert_int_equal(twi_npy_append(ctx, npy, rows + 3, 1), TW_OK);
    assert_int_equal(twi_npy_commit(ctx, npy), TW_OK);
    twi_npy_free(npy);
    assert_int_equal(file_bytes(bytes, sizeof bytes), sizeof golden);
    assert_memory_equal(bytes, golden, sizeof golden);
    assert_int_equal(folder_entries(), 1);
}

static void test_no_rows_and_wide_rows(void **state)
{
    (void)state;
    unsigned char bytes[256];
    twi_npy *npy;
    assert_int_equal(twi_npy_create(ctx, file_path(), SIZE_MAX / 8, &npy), TW_OK);
    const float one = 1;
    assert_int_equal(twi_npy_append(ctx, npy, &one, 9), TW_ERR_ARG);
    assert_int_equal(twi_npy_commit(ctx, npy), TW_OK);
    twi_npy_free(npy);
    assert_int_equal(file_bytes(bytes, sizeof bytes), 128);
    assert_int_equal(bytes[127], '\n');
    assert_non_null(strstr((char *)bytes + 10, "'shape': (0, 2305843009213693951), }"));
}

static void test_without_commit_the_old_file_stays(void **state)
{
    (void)state;
    static const float row[] = {1, 2, 3};
    unsigned char bytes[256];
    FILE *file = fopen(file_path(), "wb");
    assert_non_null(file);
    fputs("old", file);
    fclose(file);
    twi_npy *npy;
    assert_int_equal(twi_npy_create(ctx, file_path(), 3, &npy), TW_OK);
    assert_int_equal(twi_npy_append(ctx, npy, row, 1), TW_OK);
    twi_npy_free(npy);
    assert_int_equal(file_bytes(bytes, sizeof bytes), 3);
    assert_memory_equal(bytes, "old", 3);
    assert_int_equal(folder_entries(), 1);
}

/* ---- a disk that is full ------------------------------------------------------------------- */

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_a_full_disk_leaves_nothing_behind(void **state)
{
    (void)state;
    static float row[1024];
    tw_status st = TW_OK;
    twi_npy *npy;
    signal(SIGXFSZ, SIG_IGN);
    limit_files(10000);
    assert_int_equal(twi_npy_create(ctx, file_path(), 1024, &npy), TW_OK);
    for (size_t i = 0; i < 4 && st == TW_OK; i++) st = twi_npy_append(ctx, npy, row, 1);
    twi_npy_free(npy);
    limit_files(RLIM_INFINITY);
    assert_int_equal(st, TW_ERR_IO);
    assert_non_null(strstr(tw_last_error(ctx), "x.npy"));
    assert_int_equal(folder_entries(), 0);
}

static void test_a_full_disk_under_a_matrix_file(void **state)
{
    (void)state;
    static float row[1024];
    tw_status st = TW_OK;
    twi_matrix_file *file;
    signal(SIGXFSZ, SIG_IGN);
    limit_files(10000);
    assert_int_equal(twi_matrix_file_create(ctx, folder, 1024, &file), TW_OK);
    for (size_t i = 0; i < 4 && st == TW_OK; i++) st = twi_matrix_file_append(ctx, file, row, 1);
    limit_files(RLIM_INFINITY);
    assert_int_equal(st, TW_ERR_IO);
    assert_non_null(strstr(tw_last_error(ctx), folder));
    const float *x;
    size_t rows;
    assert_int_equal(twi_matrix_file_map(ctx, file, &x, &rows), TW_OK);
    assert_int_equal(rows, 2); /* whole rows only */
    twi_matrix_file_free(file);
    assert_int_equal(folder_entries(), 0);
}

/* ---- matrix file --------------------------------------------------------------------------- */

static void test_matrix_file_reads_back(void **state)
{
    (void)state;
    twi_matrix_file *file;
    const float *x;
    size_t rows;
    assert_int_equal(twi_matrix_file_create(ctx, folder, 5, &file), TW_OK);
    assert_int_equal(folder_entries(), 0); /* it has no name from the start */
    for (size_t i = 0; i < 1000; i++) {
        const float f = (float)i;
        const float row[] = {f, f + 0.25f, -f, 1 / (1 + f), 0};
        assert_int_equal(twi_matrix_file_append(ctx, file, row, 1), TW_OK);
    }
    assert_int_equal(twi_matrix_file_map(ctx, file, &x, &rows), TW_OK);
    assert_int_equal(rows, 1000);
    for (size_t i = 0; i < rows; i++)
        assert_true(x[i * 5] == (float)i && x[i * 5 + 3] == 1 / (1 + (float)i));
    assert_int_equal(twi_matrix_file_append(ctx, file, x, 1), TW_ERR_ARG);
    twi_matrix_file_free(file);
}

static void test_matrix_file_empty_and_nowhere(void **state)
{
    (void)state;
    twi_matrix_file *file = NULL;
    const float *x;
    size_t rows;
    assert_int_equal(twi_matrix_file_create(ctx, folder, 5, &file), TW_OK);
    assert_int_equal(twi_matrix_file_map(ctx, file, &x, &rows), TW_OK);
    assert_int_equal(rows, 0);
    twi_matrix_file_free(file);
    file = NULL;
    assert_int_equal(twi_matrix_file_create(ctx, "/nonexistent/folder", 5, &file), TW_ERR_IO);
    assert_null(file);
    assert_non_null(strstr(tw_last_error(ctx), "/nonexistent/folder"));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_bytes_are_numpys),
        IN_FOLDER(test_no_rows_and_wide_rows),
        IN_FOLDER(test_without_commit_the_old_file_stays),
        IN_FOLDER(test_a_full_disk_leaves_nothing_behind),
        IN_FOLDER(test_a_full_disk_under_a_matrix_file),
        IN_FOLDER(test_matrix_file_reads_back),
        IN_FOLDER(test_matrix_file_empty_and_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
