/* option_pretrain.c - what a network trained from nothing is. Defaults are the library's: a field
 * is looked at only where its option was given. */
#include "options.h"

#include <stddef.h>

#define FIELD(member) offsetof(options, member)

const option option_pretrain[OPT_COUNT] = {
    [OPT_WIDTH] = {.name = "width",
                   .kind = OPTION_NUMBER,
                   .value = "NUMBER",
                   .least = 0.05,
                   .most = 1024,
                   .field = FIELD(width),
                   .fallback = "32 for sapling, 64 for resnet, 1 for the others",
                   .help = "Channels of the first stage of sapling and resnet, each later stage "
                           "having twice those before it; of mobilenet_v2 and squeezenet1_1 how "
                           "many times the usual number."},
    [OPT_SIZE] = {.name = "size",
                  .kind = OPTION_SIZE,
                  .value = "PIXELS",
                  .least = 16,
                  .most = 1024,
                  .field = FIELD(side),
                  .fallback = "64",
                  .help = "Width and height of what the network sees of a photo."},
    [OPT_TEACHER] = {.name = "teacher",
                     .kind = OPTION_TEXT,
                     .value = "BACKBONE",
                     .field = FIELD(teacher),
                     .help = "Learn to reproduce the features of this pretrained network, a name "
                             "or a file, instead of classes."},
    [OPT_UNLABELLED] = {.name = "unlabelled",
                        .kind = OPTION_FLAG,
                        .field = FIELD(unlabelled),
                        .number = 1,
                        .help = "With --teacher: FOLDER has no classes; every photo in it and in "
                                "the folders below is learned from, and none is held back to test "
                                "with."},
};
