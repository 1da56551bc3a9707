/* views.h - the options that say what of a photo the network sees, and which of its layers are the
 * features: the same in every command that makes features. */
#ifndef TOPWORK_CLI_VIEWS_H
#define TOPWORK_CLI_VIEWS_H

#include "session.h"

/* --input-size, --views, --patches and --layers into out; what they say stays in s->opts. 0, or the
 * exit code after having said what is wrong. */
int views_read(session *s, tw_extract_opts *out);

#endif
