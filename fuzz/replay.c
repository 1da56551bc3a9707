/* replay.c - runs a fuzz target over files and folders given on the command line, without a fuzzer:
 * so that the corpus is replayed by plain tests. Also feeds every file cut at each twentieth, and
 * with single bits flipped. */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t runs;

/* A copy of exactly size bytes, so that the sanitizer sees a read past the end. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) exit(1);
    memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    runs++;
}

static void replay_bytes(uint8_t *data, size_t size)
{
    run(data, size);
    if (size > 65536) return; /* the variations of a large file cost more than they find */
    for (size_t i = 0; i < 20; i++) run(data, size * i / 20);
    for (size_t i = 0; i < 32 && size > 0; i++) {
        const size_t at = (i * 2654435761u) % size;
        data[at] ^= (uint8_t)(1u << i % 8);
        run(data, size);
        data[at] ^= (uint8_t)(1u << i % 8);
    }
}

static int replay(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        printf("SKIPPED: %s is not here\n", path);
        return 0;
    }
    if (S_ISDIR(info.st_mode)) {
        DIR *folder = opendir(path);
        int status = folder ? 0 : 1;
        for (struct dirent *entry; folder && (entry = readdir(folder));) {
            char inner[4096];
            if (entry->d_name[0] == '.') continue;
            snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
            status |= replay(inner);
        }
        if (folder) closedir(folder);
        return status;
    }
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc((size_t)info.st_size + 1);
    if (!file || !data) return 1;
    const size_t size = fread(data, 1, (size_t)info.st_size, file);
    fclose(file);
    replay_bytes(data, size);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    int status = 0;
    uint8_t nothing = 0;
    run(&nothing, 0);
    for (int i = 1; i < argc; i++) status |= replay(argv[i]);
    printf("%zu inputs\n", runs);
    return status;
}
