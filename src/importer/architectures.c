/* architectures.c - the table: name, default recipe, builder. Adding one is a row here and a build
 * function. */
#include "importer/builder.h"

#include <string.h>

#define COMMON     "\"resize\":\"bilinear\",\"decode\":\"rgb\",\"exif\":true,\"fast_decode\":false,"
#define SQUASH_224 "\"height\":224,\"width\":224,\"geometry\":\"squash\",\"short_side\":0,"
#define CROP_224   "\"height\":224,\"width\":224,\"geometry\":\"crop\",\"short_side\":256,"

/* keras.applications.imagenet_utils, mode "caffe". */
#define CAFFE "\"channels\":\"bgr\",\"scale\":1,\"mean\":[103.939,116.779,123.68],\"std\":[1,1,1]"
/* The rounded means that Caffe's own SqueezeNet was trained with. */
#define CAFFE_ROUNDED "\"channels\":\"bgr\",\"scale\":1,\"mean\":[104,117,123],\"std\":[1,1,1]"
#define BY_255        "\"channels\":\"rgb\",\"scale\":0.0039215686274509803,"
/* torchvision's ImageNet statistics. */
#define TORCH BY_255 "\"mean\":[0.485,0.456,0.406],\"std\":[0.229,0.224,0.225]"

static const char recipe_keras[] = "{" SQUASH_224 COMMON CAFFE "}";
static const char recipe_torchvision[] = "{" CROP_224 COMMON TORCH "}";
static const char recipe_squeezenet[] = "{" CROP_224 COMMON CAFFE_ROUNDED "}";
/* Trained at 64 on Tiny-ImageNet with these statistics, used at twice that; short side 1.1 x input.
 */
static const char recipe_sapling[] =
    "{\"height\":128,\"width\":128,\"geometry\":\"crop\",\"short_side\":141," COMMON BY_255
    "\"mean\":[0.480,0.448,0.397],\"std\":[0.272,0.265,0.274]}";

#define BOTH                                                                                       \
    {                                                                                              \
        [TWI_TORCHVISION] = recipe_torchvision, [TWI_KERAS] = recipe_keras                         \
    }

static const size_t vgg16[] = {2, 2, 3, 3, 3, 0}, vgg19[] = {2, 2, 4, 4, 4, 0};
static const size_t resnet18[] = {2, 2, 2, 2, 0}, resnet34[] = {3, 4, 6, 3, 0},
                    resnet101[] = {3, 4, 23, 3, 0}, resnet152[] = {3, 8, 36, 3, 0};
static const size_t squeezenet1_1[] = {2, 2, 4, 0};

static const twi_architecture architectures[] = {
    {"sapling",
     "half-width ResNet-18 with a 3x3 stem and no max pool, the default backbone",
     {[TWI_TORCHVISION] = recipe_sapling},
     twi_sapling_build,
     resnet18},
    {"vgg16", "VGG with 16 layers: Keras HDF5 (caffe preprocessing) or torchvision names", BOTH,
     twi_vgg_build, vgg16},
    {"vgg19", "VGG with 19 layers: Keras HDF5 (caffe preprocessing) or torchvision names", BOTH,
     twi_vgg_build, vgg19},
    {"resnet18",
     "ResNet with 18 layers, torchvision names",
     {[TWI_TORCHVISION] = recipe_torchvision},
     twi_resnet_basic_build,
     resnet18},
    {"resnet34",
     "ResNet with 34 layers, torchvision names",
     {[TWI_TORCHVISION] = recipe_torchvision},
     twi_resnet_basic_build,
     resnet34},
    {"resnet50", "ResNet with 50 layers: Keras HDF5 (caffe preprocessing) or torchvision names",
     BOTH, twi_resnet_bottleneck_build, resnet34},
    {"resnet101", "ResNet with 101 layers: Keras HDF5 (caffe preprocessing) or torchvision names",
     BOTH, twi_resnet_bottleneck_build, resnet101},
    {"resnet152", "ResNet with 152 layers: Keras HDF5 (caffe preprocessing) or torchvision names",
     BOTH, twi_resnet_bottleneck_build, resnet152},
    {"squeezenet1_1",
     "SqueezeNet 1.1, torchvision names, the Caffe weights' own preprocessing (BGR minus 104, 117, "
     "123);"
     " for torchvision's own weights override channels, scale, mean and std",
     {[TWI_TORCHVISION] = recipe_squeezenet},
     twi_squeezenet_build,
     squeezenet1_1},
};

const twi_architecture *twi_architecture_at(size_t i)
{
    return i < TWI_LEN(architectures) ? &architectures[i] : NULL;
}

const twi_architecture *twi_architecture_find(const char *name)
{
    for (size_t i = 0; i < TWI_LEN(architectures); i++)
        if (strcmp(architectures[i].name, name) == 0) return &architectures[i];
    return NULL;
}
