/* option_views.c - what of a photo the network sees, and which of its layers are the features. */
#include "options.h"

#include <stddef.h>

#define FIELD(member) offsetof(options, member)

static const char *const words_views[] = {"1", "flip", "5", "10", NULL};

const option option_views[OPT_COUNT] = {
    [OPT_INPUT_SIZE] = {.name = "input-size",
                        .kind = OPTION_TEXT,
                        .value = "PIXELS|HxW",
                        .field = FIELD(input_size),
                        .fallback = "the backbone's own",
                        .help = "Side of the square input, or its height and width. Not every "
                                "network can take another size than its own."},
    [OPT_VIEWS] = {.name = "views",
                   .kind = OPTION_NAME,
                   .words = words_views,
                   .field = FIELD(views),
                   .fallback = "1",
                   .help = "How many views of a photo go through the network; their features are "
                           "averaged. flip: the photo and its mirror image; 5: the corners and the "
                           "centre of the resized photo; 10: these and those of its mirror image."},
    [OPT_VIEWS_LIST] = {.name = "views",
                        .kind = OPTION_LIST,
                        .value = "WORD,...",
                        .field = FIELD(views_list),
                        .fallback = "1",
                        .help = "Views of a photo whose features are averaged: 1, flip, 5, 10."},
    [OPT_PATCHES] = {.name = "patches",
                     .kind = OPTION_TEXT,
                     .value = "HxW[:N[:SEED]]",
                     .field = FIELD(patches),
                     .help = "Instead of views: patches of that size of the resized photo, each "
                             "resized to the input; their features are averaged. Patches at every "
                             "place, or N drawn ones; N below 1 is a share. They are those of "
                             "scikit-learn's extract_patches_2d for the same seed (default: 42)."},
    [OPT_LAYERS] = {.name = "layers",
                    .kind = OPTION_LIST,
                    .value = "A,B,...",
                    .field = FIELD(layers),
                    .fallback = "the backbone's own feature layer",
                    .help =
                        "Take the features from these layers, each pooled, one after the other. "
                        "'topwork backbone info' shows the names; write '\\,' for a comma in "
                        "one."},
};
