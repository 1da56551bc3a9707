/* signals.h - Ctrl-C and its relatives: noted, and asked for between two photos. */
#ifndef TOPWORK_CLI_SIGNALS_H
#define TOPWORK_CLI_SIGNALS_H

/* SIGINT, SIGTERM and SIGHUP are noted the first time and end the process the second. One that was
 * ignored at the start (nohup) stays ignored. SIGPIPE and SIGXFSZ are ignored: a closed pipe, or
 * a file as large as the limit allows, is then a write error we can clean up after. */
void signals_install(void);

/* The number of the signal noted; 0: none. */
int signals_caught(void);

#endif
