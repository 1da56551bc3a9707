/* team.h - the OpenMP runtime oneDNN computes with, used by us too so that there is one pool of
 * threads.
 *
 * Debian's oneDNN is built with GCC's runtime. Code of ours compiled by another compiler must not
 * bring a second one (LLVM's) into the process, so this calls libgomp itself instead of using
 * pragmas. */
#ifndef TWI_ENGINE_TEAM_H
#define TWI_ENGINE_TEAM_H

#include <stddef.h>

/* The number of threads the calling thread's parallel work will use from here on; gives what it
 * was. The setting is the calling thread's alone (OpenMP 4.5, 2.3.3: nthreads-var). */
size_t twi_team_resize(size_t threads);

/* Calls fn(user, member, members) once on each of at most threads threads, and returns when all
 * have. */
typedef void (*twi_team_fn)(void *user, size_t member, size_t members);
void twi_team_run(size_t threads, twi_team_fn fn, void *user);

/* Inside fn: waits until all members have come here. */
void twi_team_barrier(void);

/* The contiguous share [*begin, *end) of [0, count) that falls to member of members. */
void twi_team_share(size_t count, size_t member, size_t members, size_t *begin, size_t *end);

#endif
