#include "epochs.h"

#include "json.h"

#include <errno.h>

int epoch_log(FILE *out, const tw_epoch *e)
{
    js j = {.out = out};
    js_object(&j, NULL);
    js_size(&j, "epoch", e->epoch);
    js_double(&j, "loss", e->loss);
    js_double(&j, "val_loss", e->val_loss);
    js_double(&j, "val_accuracy", e->val_accuracy);
    js_double(&j, "rate", e->rate);
    js_double(&j, "photos_per_second", e->photos_per_second);
    js_double(&j, "seconds", e->seconds);
    js_bool(&j, "best", e->best);
    js_object_end(&j);
    return fflush(out) ? errno : 0;
}
