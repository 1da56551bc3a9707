/* epochs.h - what finetune and pretrain write of every epoch. */
#ifndef TOPWORK_CLI_EPOCHS_H
#define TOPWORK_CLI_EPOCHS_H

#include "topwork/topwork.h"

#include <stdio.h>

/* One JSON object on a line of its own, at once. What went wrong, as errno has it; 0: nothing. */
int epoch_log(FILE *out, const tw_epoch *e);

#endif
