/* labelled.h - the labelled photos that a command works on. */
#ifndef TOPWORK_CLI_LABELLED_H
#define TOPWORK_CLI_LABELLED_H

#include "session.h"

/* Opens the folder or manifest that operand names, with the classes of --categories. to_measure: a
 * single class will do. 0, or the exit code after having said why not; *out is NULL then. */
int labelled_open(session *s, const char *operand, bool to_measure, tw_dataset **out);

/* Prints how many photos of which classes there are, where people read the output. */
void labelled_announce(session *s, const tw_dataset *dataset);

#endif
