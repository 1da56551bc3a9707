/* options.c - defaults of every options struct, and reading structs of an older or newer header. */
#include "api/options.h"

#include <string.h>

tw_status twi_options_read(tw_ctx *ctx, void *into, size_t into_size, const void *given,
                           size_t given_size)
{
    if (!given) return TW_OK;
    if (given_size < sizeof(size_t))
        return twi_fail(
            ctx, TW_ERR_ARG,
            "an options struct of %zu bytes was not initialised with its _init function",
            given_size);
    const unsigned char *bytes = given;
    for (size_t i = into_size; i < given_size; i++)
        if (bytes[i] != 0)
            return twi_fail(ctx, TW_ERR_UNSUPPORTED,
                            "an option set by the caller is newer than this library (topwork %s)",
                            tw_version());
    memcpy(into, given, given_size < into_size ? given_size : into_size);
    return TW_OK;
}

void tw_extract_opts_init(tw_extract_opts *opts)
{
    *opts = (tw_extract_opts){.size_bytes = sizeof *opts};
}

void tw_train_opts_init(tw_train_opts *opts)
{
    *opts = (tw_train_opts){
        .size_bytes = sizeof *opts, .test_size = 0.2, .seed = 42, .stratify = TW_DEFAULT};
    tw_extract_opts_init(&opts->extract);
    tw_head_opts_init(&opts->head);
}
