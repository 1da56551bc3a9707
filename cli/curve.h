/* curve.h - the learning curve as a table, a plot in the terminal, an SVG and JSON. */
#ifndef TOPWORK_CLI_CURVE_H
#define TOPWORK_CLI_CURVE_H

#include "session.h"

/* compare --learning-curve: the exit code. opts: as train would take them. */
int curve_run(session *s, const tw_dataset *dataset, const tw_train_opts *opts);

#endif
