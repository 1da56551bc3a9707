/* fake_finetune.c - the test double's fine-tuning: two epochs, then what training gives. */
#include "fake.h"

#include <math.h>

void tw_finetune_opts_init(tw_finetune_opts *opts)
{
    *opts = (tw_finetune_opts){
        .size_bytes = sizeof *opts, .test_size = 0.2, .seed = 42, .epochs = 10, .batch = 16};
}

tw_status tw_model_finetune(tw_ctx *ctx, const tw_dataset *dataset, const tw_finetune_opts *opts,
                            tw_model **out, tw_report **report)
{
    const tw_status status = planned(ctx, "tw_model_finetune");
    tw_train_opts train;
    if (status != TW_OK) return status;
    for (size_t i = 0; i < 3; i++) {
        const tw_epoch epoch = {.epoch = i,
                                .epochs = opts->epochs,
                                .loss = i ? 1.0 / (double)i : (double)NAN,
                                .val_loss = 0.5,
                                .val_accuracy = 0.75 + 0.125 * (double)i,
                                .rate = opts->rate,
                                .photos_per_second = 10.0,
                                .seconds = 1.0,
                                .best = i < 2};
        if (opts->told && opts->told(opts->user, &epoch)) break;
    }
    tw_train_opts_init(&train);
    train.test_size = opts->test_size;
    return tw_model_train(ctx, dataset, &train, out, report);
}

tw_status tw_finetune_sheet(tw_ctx *ctx, const tw_dataset *dataset, const tw_finetune_opts *opts,
                            const char *path)
{
    (void)dataset;
    (void)opts;
    const tw_status status = planned(ctx, "tw_finetune_sheet");
    FILE *const out = status == TW_OK ? fopen(path, "wb") : NULL;
    if (out) {
        fputs("PNG", out);
        fclose(out);
    }
    return status;
}
