/* heap.c - large pages under the program's heap.
 *
 * Answering for one photo touches some 30 MB once: in pages of 4 KiB that was 7,500 page faults and
 * 20 of 55 ms. Only a program may decide this for its process, so it stands here and not in the
 * library. */
#include "heap.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGE_PAGE        ((uintptr_t)2 << 20)
#define HEAP_BYTES        ((size_t)64 << 20)
#define OWN_MAPPING_BYTES (8 << 20) /* larger blocks still come and go by themselves */

void heap_use_large_pages(void)
{
    mallopt(M_MMAP_THRESHOLD, HEAP_BYTES + OWN_MAPPING_BYTES);
    mallopt(M_TRIM_THRESHOLD, 2 * (int)HEAP_BYTES);
    void *const whole = malloc(HEAP_BYTES); /* grows the heap; nothing of it is touched */
    const uintptr_t start = ((uintptr_t)whole + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1);
    const uintptr_t end = (uintptr_t)sbrk(0) & ~(LARGE_PAGE - 1);
    /* Elsewhere than below the break (a sanitizer's malloc), or refused: then pages stay small. */
    if (whole && start < end && end - start <= 2 * HEAP_BYTES)
        (void)madvise((void *)start, end - start, MADV_HUGEPAGE);
    free(whole);
    mallopt(M_MMAP_THRESHOLD, OWN_MAPPING_BYTES);
}
