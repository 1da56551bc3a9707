/* heap.h - how the program's heap is paged. */
#ifndef TOPWORK_CLI_HEAP_H
#define TOPWORK_CLI_HEAP_H

/* Asks for large pages under the first 64 MiB of the heap. Call first thing in main(), before
 * threads. A system without them changes nothing. */
void heap_use_large_pages(void);

#endif
