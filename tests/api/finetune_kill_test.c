/* finetune_kill_test.c - fine-tuning killed by SIGKILL again and again, at moments drawn at random,
 * and resumed: the model has the bytes of a run that nobody stopped. */
#include "folder.h"
#include "testing.h"
#include "topwork/topwork.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { SIDE = 72, PER_CLASS = 14, MOST_KILLS = 8 };

static int set_up(void **state)
{
    (void)state;
    if (folder_new("kill") || mkdir(at("photos"), 0777) != 0) return 1;
    return draw_class("photos/across", 0, PER_CLASS, SIDE, SIDE) ||
           draw_class("photos/down", 1, PER_CLASS, SIDE, SIDE);
}

static int tear_down(void **state)
{
    (void)state;
    return folder_free();
}

/* In a process of its own: fine-tunes, and leaves with 0 when the model is there. */
static _Noreturn void child(const char *checkpoint, int resume, const char *out)
{
    tw_ctx *ctx = NULL;
    tw_dataset *dataset = NULL;
    tw_model *model = NULL;
    tw_finetune_opts opts;
    tw_finetune_opts_init(&opts);
    opts.precision = TW_PRECISION_F32;
    opts.epochs = 3;
    opts.batch = 4;
    opts.mixup = 0.4;
    opts.erase = 0.5;
    opts.checkpoint = checkpoint;
    opts.checkpoint_minutes = 1e-6; /* after every step */
    opts.resume = resume;
    if (tw_ctx_new(&ctx) != TW_OK) _exit(3);
    tw_ctx_set_threads(ctx, 1);
    tw_status st = tw_dataset_open(ctx, at("photos"), NULL, &dataset);
    if (st == TW_OK) st = tw_model_finetune(ctx, dataset, &opts, &model, NULL);
    if (st == TW_OK) st = tw_model_save(ctx, model, out);
    if (st != TW_OK) fprintf(stderr, "child: %s\n", tw_last_error(ctx));
    _exit(st != TW_OK);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Kills it after that many seconds (below 0: never). True: it came to its end. */
static int run(const char *checkpoint, int resume, const char *out, double seconds)
{
    int status;
    const double start = now();
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) child(checkpoint, resume, out);
    while (waitpid(pid, &status, seconds < 0.0 ? 0 : WNOHANG) == 0) {
        if (now() - start >= seconds) kill(pid, SIGKILL);
        nanosleep(&(struct timespec){0, 2000000}, NULL);
    }
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return 0;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return 1;
}

static void assert_same_files(const char *a, const char *b)
{
    FILE *x = fopen(a, "rb"), *y = fopen(b, "rb");
    int p, q;
    assert_true(x && y);
    do {
        p = getc(x), q = getc(y);
        assert_int_equal(p, q);
    } while (p != EOF);
    fclose(x);
    fclose(y);
}

static void test_killed(void **state)
{
    (void)state;
    int kills = 0, resumed = 0, done = 0;
    const char *whole = at("whole.tw"), *killed = at("killed.tw"), *checkpoint = at("checkpoint");
    srand((unsigned)getpid()); /* other moments each time: any must do */
    const double start = now();
    assert_true(run(checkpoint, 0, whole, -1.0));
    const double all = now() - start;
    while (!done) {
        const int resume = access(checkpoint, R_OK) == 0;
        const double share = rand() / (RAND_MAX + 1.0);
        /* a resumed run has less to do, but the features and the first head once more */
        done =
            run(checkpoint, resume, killed, kills < MOST_KILLS ? (0.1 + 0.3 * share) * all : -1.0);
        kills += !done;
        resumed += resume;
    }
    print_message("%d kills, %d times resumed; a whole run takes %.2f s\n", kills, resumed, all);
    assert_true(kills > 2 && resumed > 0);
    assert_same_files(whole, killed);
    assert_int_not_equal(access(checkpoint, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_killed)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
