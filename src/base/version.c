/* version.c - what this build calls itself. */
#include "topwork/topwork.h"

const char *tw_version(void)
{
    return TWI_VERSION;
}
