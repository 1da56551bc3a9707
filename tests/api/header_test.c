/* header_test.c - the public header alone: compiled as C99, C11 and C++, every warning an error. */
#include "topwork/topwork.h"

static void unused(tw_dataset_opts *data, tw_extract_opts *extract, tw_train_opts *train)
{
    tw_dataset_opts_init(data);
    tw_extract_opts_init(extract);
    tw_train_opts_init(train);
}

int main(void)
{
    tw_dataset_opts data;
    tw_extract_opts extract;
    tw_train_opts train;
    unused(&data, &extract, &train);
    if (data.size_bytes != sizeof data || extract.size_bytes != sizeof extract ||
        train.size_bytes != sizeof train || train.extract.size_bytes != sizeof extract)
        return 1;
    return tw_version()[0] != '0';
}
