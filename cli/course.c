/* course.c - options of training, from the command line to the library's. */
#include "course.h"

void course_number(const options *o, option_id id, double from, double *to)
{
    if (option_given(o, id)) *to = from;
}

void course_size(const options *o, option_id id, size_t from, size_t *to)
{
    if (option_given(o, id)) *to = from;
}

void course_read(const options *o, const course *to)
{
    *to->test_size = o->test_size;
    *to->seed = (uint32_t)o->seed;
    *to->stratify = (tw_tristate)o->stratify;
    *to->groups = o->groups;
    *to->precision = (tw_precision)o->precision;
    *to->optimiser = o->optimiser;
    *to->balanced = o->class_weight == CLASS_WEIGHT_BALANCED;
    *to->no_mirror = o->no_mirror;
    *to->resume = o->resume;
    course_number(o, OPT_LR, o->lr, to->rate);
    course_number(o, OPT_WARMUP, o->warmup, to->warmup);
    course_number(o, OPT_WEIGHT_DECAY, o->weight_decay, to->weight_decay);
    course_number(o, OPT_SMOOTHING, o->smoothing, to->smoothing);
    course_number(o, OPT_MIXUP, o->mixup, to->mixup);
    course_number(o, OPT_EMA, o->ema, to->average);
    course_number(o, OPT_CROP_AREA, o->crop_area, to->least_area);
    course_number(o, OPT_JITTER, o->jitter, to->jitter);
    course_number(o, OPT_ERASE, o->erase, to->erase);
    course_number(o, OPT_CHECKPOINT_EVERY, o->checkpoint_every, to->checkpoint_minutes);
    course_size(o, OPT_EPOCHS, o->epochs, to->epochs);
    course_size(o, OPT_TUNE_PATIENCE, o->tune_patience, to->patience);
    course_size(o, OPT_TUNE_BATCH, o->batch_size, to->batch);
}
