/* unknown.h - photos of none of the model's classes, measured: evaluate --unknown. */
#ifndef TOPWORK_CLI_UNKNOWN_H
#define TOPWORK_CLI_UNKNOWN_H

#include "session.h"

/* Runs every picture below folder through the model and adds to report how well they are told from
 * its own. *skipped gets how many could not be read. 0, or the exit code after having said why not.
 */
int unknown_measure(session *s, const tw_model *model, const char *folder, tw_report *report,
                    size_t *skipped);

#endif
