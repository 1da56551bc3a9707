/* heads.h - the options of a head, as the commands that fit one share them. */
#ifndef TOPWORK_CLI_HEADS_H
#define TOPWORK_CLI_HEADS_H

#include "session.h"

/* Fills head from the command line. 0, or the exit code after having said what is wrong. */
int heads_read(session *s, tw_head_opts *head);

/* What a head is called in a sentence, and the name of the number that sets its regularisation. */
const char *heads_title(const char *kind);
const char *heads_strength(const char *kind);

#endif
