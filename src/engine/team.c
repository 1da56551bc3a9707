/* team.c - libgomp's entry points. */
#include "engine/team.h"

#include <limits.h>

/* As <omp.h> declares them; that header is the compiler's own, and clang's may be absent. */
extern void omp_set_num_threads(int threads);
extern int omp_get_max_threads(void);
extern int omp_get_thread_num(void);
extern int omp_get_num_threads(void);
/* What GCC turns "#pragma omp parallel" into: libgomp's stable ABI (GOMP_4.0). */
extern void GOMP_parallel(void (*fn)(void *), void *data, unsigned threads, unsigned flags);
extern void GOMP_barrier(void);

size_t twi_team_resize(size_t threads)
{
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads > INT_MAX ? INT_MAX : (int)threads);
    return (size_t)before;
}

typedef struct call {
    twi_team_fn fn;
    void *user;
} call;

static void enter(void *data)
{
    const call *c = data;
    c->fn(c->user, (size_t)omp_get_thread_num(), (size_t)omp_get_num_threads());
}

void twi_team_run(size_t threads, twi_team_fn fn, void *user)
{
    if (threads <= 1) {
        fn(user, 0, 1);
        return;
    }
    call c = {fn, user};
    GOMP_parallel(enter, &c, threads > UINT_MAX ? UINT_MAX : (unsigned)threads, 0);
}

void twi_team_barrier(void)
{
    GOMP_barrier();
}

void twi_team_share(size_t count, size_t member, size_t members, size_t *begin, size_t *end)
{
    const size_t each = count / members, extra = count % members;
    *begin = member * each + (member < extra ? member : extra);
    *end = *begin + each + (member < extra);
}
