/* architectures.c - the table: name, default recipe, builder. Adding one is a row here and a build
 * function. */
#include "importer/builder.h"

#include <string.h>

#define FROM(filter)                                                                               \
    "\"resize\":\"" filter "\",\"decode\":\"rgb\",\"exif\":true,\"fast_decode\":false,"
#define SIZE(side)         "\"height\":" #side ",\"width\":" #side ","
#define SQUASH(side)       SIZE(side) "\"geometry\":\"squash\",\"short_side\":0,"
#define CROP(side, short_) SIZE(side) "\"geometry\":\"crop\",\"short_side\":" #short_ ","

/* keras.applications.imagenet_utils, mode "caffe". */
#define CAFFE "\"channels\":\"bgr\",\"scale\":1,\"mean\":[103.939,116.779,123.68],\"std\":[1,1,1]"
/* The rounded means that Caffe's own SqueezeNet was trained with. */
#define CAFFE_ROUNDED "\"channels\":\"bgr\",\"scale\":1,\"mean\":[104,117,123],\"std\":[1,1,1]"
#define BY_255        "\"channels\":\"rgb\",\"scale\":0.0039215686274509803,"
/* torchvision's ImageNet statistics. */
#define TORCH BY_255 "\"mean\":[0.485,0.456,0.406],\"std\":[0.229,0.224,0.225]"

/* keras.applications.imagenet_utils: modes "caffe", "tf" (x / 127.5 - 1) and "torch"; and networks
 * that do it themselves, or from values of 0 to 1. */
#define TF   "\"channels\":\"rgb\",\"scale\":0.00784313725490196,\"mean\":[1,1,1],\"std\":[1,1,1]"
#define HALF BY_255 "\"mean\":[0.5,0.5,0.5],\"std\":[0.5,0.5,0.5]"
#define UNIT BY_255 "\"mean\":[0,0,0],\"std\":[1,1,1]"
/* Keras's EfficientNetV2 S, M, L: x / 128 - 1. */
#define BY_128 "\"channels\":\"rgb\",\"scale\":0.0078125,\"mean\":[1,1,1],\"std\":[1,1,1]"

/* Recipes: torchvision's are those of its first published weights (IMAGENET1K_V1). */
#define TORCHVISION(side, short_, filter, values) "{" CROP(side, short_) FROM(filter) values "}"
#define KERAS(side, values)                       "{" SQUASH(side) FROM("bilinear") values "}"
static const char recipe_keras[] = KERAS(224, CAFFE);
static const char recipe_keras_tf[] = KERAS(224, TF);
static const char recipe_keras_torch[] = KERAS(224, TORCH);
static const char recipe_keras_unit[] = KERAS(224, UNIT);
static const char recipe_torchvision[] = TORCHVISION(224, 256, "bilinear", TORCH);
static const char recipe_squeezenet[] = TORCHVISION(224, 256, "bilinear", CAFFE_ROUNDED);
/* Trained at 64 on Tiny-ImageNet with these statistics, used at twice that; short side 1.1 x input.
 */
static const char recipe_sapling[] = TORCHVISION(
    128, 141, "bilinear", BY_255 "\"mean\":[0.480,0.448,0.397],\"std\":[0.272,0.265,0.274]");
static const size_t sizes_2_2_2_2[] = {2, 2, 2, 2, 0};
static const size_t sizes_1_1_2_2_2[] = {1, 1, 2, 2, 2, 0};
static const size_t sizes_2_2_2_2_2[] = {2, 2, 2, 2, 2, 0};
static const size_t sizes_2_2_3_3_3[] = {2, 2, 3, 3, 3, 0};
static const size_t sizes_2_2_4_4_4[] = {2, 2, 4, 4, 4, 0};
static const size_t sizes_3_4_6_3[] = {3, 4, 6, 3, 0};
static const size_t sizes_3_4_23_3[] = {3, 4, 23, 3, 0};
static const size_t sizes_3_8_36_3[] = {3, 8, 36, 3, 0};
static const size_t sizes_3_4_1[] = {3, 4, 1, 0};
static const size_t sizes_2_2_4[] = {2, 2, 4, 0};
static const size_t sizes_6_12_24_16[] = {6, 12, 24, 16, 0};
static const size_t sizes_6_12_36_24[] = {6, 12, 36, 24, 0};
static const size_t sizes_6_12_32_32[] = {6, 12, 32, 32, 0};
static const size_t sizes_6_12_48_32[] = {6, 12, 48, 32, 0};
static const size_t sizes_1_2_1_2_1_2_1_1_1_1_1_2_1[] = {1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 0};
static const size_t sizes_4_8_4[] = {4, 8, 4, 0};
static const size_t sizes_1_2_2_3_3_4_1[] = {1, 2, 2, 3, 3, 4, 1, 0};
static const size_t sizes_2_3_3_4_4_5_2[] = {2, 3, 3, 4, 4, 5, 2, 0};
static const size_t sizes_2_3_3_5_5_6_2[] = {2, 3, 3, 5, 5, 6, 2, 0};
static const size_t sizes_2_4_4_6_6_8_2[] = {2, 4, 4, 6, 6, 8, 2, 0};
static const size_t sizes_3_5_5_7_7_9_3[] = {3, 5, 5, 7, 7, 9, 3, 0};
static const size_t sizes_3_6_6_8_8_11_3[] = {3, 6, 6, 8, 8, 11, 3, 0};
static const size_t sizes_4_7_7_10_10_13_4[] = {4, 7, 7, 10, 10, 13, 4, 0};
static const size_t sizes_2_4_4_6_9_15[] = {2, 4, 4, 6, 9, 15, 0};
static const size_t sizes_3_5_5_7_14_18_5[] = {3, 5, 5, 7, 14, 18, 5, 0};
static const size_t sizes_4_7_7_10_19_25_7[] = {4, 7, 7, 10, 19, 25, 7, 0};
static const size_t sizes_1_2_2_3_5_8[] = {1, 2, 2, 3, 5, 8, 0};
static const size_t sizes_2_3_3_4_6_9[] = {2, 3, 3, 4, 6, 9, 0};
static const size_t sizes_2_3_3_4_6_10[] = {2, 3, 3, 4, 6, 10, 0};
static const size_t sizes_2_3_3_5_7_12[] = {2, 3, 3, 5, 7, 12, 0};
static const size_t sizes_1_3_6_6[] = {1, 3, 6, 6, 0};
static const size_t sizes_1_3_8_2[] = {1, 3, 8, 2, 0};
static const size_t sizes_2_6_17_2[] = {2, 6, 17, 2, 0};
static const size_t sizes_2_5_13_1[] = {2, 5, 13, 1, 0};
static const size_t sizes_2_4_10_1[] = {2, 4, 10, 1, 0};
static const size_t sizes_2_4_11_1[] = {2, 4, 11, 1, 0};
static const size_t sizes_2_5_12_1[] = {2, 5, 12, 1, 0};
static const size_t sizes_1_2_7_12[] = {1, 2, 7, 12, 0};
static const size_t sizes_1_3_7_5[] = {1, 3, 7, 5, 0};
static const size_t sizes_2_4_10_2[] = {2, 4, 10, 2, 0};
static const size_t sizes_2_6_15_2[] = {2, 6, 15, 2, 0};
static const size_t sizes_2_5_15_1[] = {2, 5, 15, 1, 0};
static const size_t sizes_2_6_13_1[] = {2, 6, 13, 1, 0};
static const size_t sizes_2_7_13_1[] = {2, 7, 13, 1, 0};
static const size_t sizes_3_3_9_3[] = {3, 3, 9, 3, 0};
static const size_t sizes_3_3_27_3[] = {3, 3, 27, 3, 0};
static const size_t sizes_12_12[] = {12, 12, 0};
static const size_t sizes_24_16[] = {24, 16, 0};
static const size_t sizes_2_2_6_2[] = {2, 2, 6, 2, 0};
static const size_t sizes_2_2_18_2[] = {2, 2, 18, 2, 0};
static const size_t sizes_4_4_4[] = {4, 4, 4, 0};
static const size_t sizes_6_6_6[] = {6, 6, 6, 0};
static const size_t sizes_1_1_4_7[] = {1, 1, 4, 7, 0};
static const size_t sizes_1_3_5_7[] = {1, 3, 5, 7, 0};
static const size_t sizes_1_3_7_4[] = {1, 3, 7, 4, 0};
static const size_t sizes_2_5_14_2[] = {2, 5, 14, 2, 0};
static const size_t sizes_2_5_11_1[] = {2, 5, 11, 1, 0};
static const size_t sizes_2_6_12_2[] = {2, 6, 12, 2, 0};
static const size_t sizes_2_7_14_2[] = {2, 7, 14, 2, 0};

/* One row a line. */
/* clang-format off */
static const twi_architecture architectures[] = {
    {"sapling", "half-width ResNet-18 with a 3x3 stem and no max pool, the default backbone", {[TWI_TORCHVISION] = recipe_sapling}, twi_sapling_build, sizes_2_2_2_2, 0},
    {"vgg11", "VGG with 11 layers: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_vgg_build, sizes_1_1_2_2_2, 0},
    {"vgg13", "VGG with 13 layers: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_vgg_build, sizes_2_2_2_2_2, 0},
    {"vgg16", "VGG with 16 layers: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = recipe_torchvision, [TWI_KERAS] = recipe_keras}, twi_vgg_build, sizes_2_2_3_3_3, 0},
    {"vgg19", "VGG with 19 layers: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = recipe_torchvision, [TWI_KERAS] = recipe_keras}, twi_vgg_build, sizes_2_2_4_4_4, 0},
    {"vgg11_bn", "VGG with 11 layers and batch norm: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_vgg_bn_build, sizes_1_1_2_2_2, 0},
    {"vgg13_bn", "VGG with 13 layers and batch norm: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_vgg_bn_build, sizes_2_2_2_2_2, 0},
    {"vgg16_bn", "VGG with 16 layers and batch norm: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_vgg_bn_build, sizes_2_2_3_3_3, 0},
    {"vgg19_bn", "VGG with 19 layers and batch norm: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_vgg_bn_build, sizes_2_2_4_4_4, 0},
    {"resnet18", "ResNet with 18 layers: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_resnet_basic_build, sizes_2_2_2_2, 0},
    {"resnet34", "ResNet with 34 layers: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_resnet_basic_build, sizes_3_4_6_3, 0},
    {"resnet50", "ResNet with 50 layers: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = recipe_torchvision, [TWI_KERAS] = recipe_keras}, twi_resnet_bottleneck_build, sizes_3_4_6_3, 0},
    {"resnet101", "ResNet with 101 layers: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = recipe_torchvision, [TWI_KERAS] = recipe_keras}, twi_resnet_bottleneck_build, sizes_3_4_23_3, 0},
    {"resnet152", "ResNet with 152 layers: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = recipe_torchvision, [TWI_KERAS] = recipe_keras}, twi_resnet_bottleneck_build, sizes_3_8_36_3, 0},
    {"resnet50v2", "ResNet version 2 with 50 layers: Keras HDF5", {[TWI_KERAS] = recipe_keras_tf}, twi_resnet_v2_build, sizes_3_4_6_3, 0},
    {"resnet101v2", "ResNet version 2 with 101 layers: Keras HDF5", {[TWI_KERAS] = recipe_keras_tf}, twi_resnet_v2_build, sizes_3_4_23_3, 0},
    {"resnet152v2", "ResNet version 2 with 152 layers: Keras HDF5", {[TWI_KERAS] = recipe_keras_tf}, twi_resnet_v2_build, sizes_3_8_36_3, 0},
    {"resnext50_32x4d", "ResNeXt: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_resnext_build, sizes_3_4_6_3, 32},
    {"resnext101_32x8d", "ResNeXt: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_resnext_build, sizes_3_4_23_3, 32},
    {"resnext101_64x4d", "ResNeXt: torchvision names", {[TWI_TORCHVISION] = TORCHVISION(224, 232, "bilinear", TORCH)}, twi_resnext_build, sizes_3_4_23_3, 64},
    {"resnext50", "ResNeXt, Keras's of 32 groups: Keras HDF5", {[TWI_KERAS] = recipe_keras_torch}, twi_resnext_build, sizes_3_4_6_3, 32},
    {"resnext101", "ResNeXt, Keras's of 32 groups: Keras HDF5", {[TWI_KERAS] = recipe_keras_torch}, twi_resnext_build, sizes_3_4_23_3, 32},
    {"wide_resnet50_2", "ResNet of twice the width: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_resnet_bottleneck_build, sizes_3_4_6_3, 0},
    {"wide_resnet101_2", "ResNet of twice the width: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_resnet_bottleneck_build, sizes_3_4_23_3, 0},
    {"squeezenet1_0", "SqueezeNet 1.0: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_squeezenet_1_0_build, sizes_3_4_1, 0},
    {"squeezenet1_1", "SqueezeNet 1.1, torchvision names, the Caffe weights' own preprocessing (BGR minus 104, 117, 123); for torchvision's own weights override channels, scale, mean and std", {[TWI_TORCHVISION] = recipe_squeezenet}, twi_squeezenet_build, sizes_2_2_4, 0},
    {"densenet121", "DenseNet with 121 layers: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = recipe_torchvision, [TWI_KERAS] = recipe_keras_torch}, twi_densenet_build, sizes_6_12_24_16, 0},
    {"densenet161", "DenseNet with 161 layers: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_densenet_build, sizes_6_12_36_24, 0},
    {"densenet169", "DenseNet with 169 layers: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = recipe_torchvision, [TWI_KERAS] = recipe_keras_torch}, twi_densenet_build, sizes_6_12_32_32, 0},
    {"densenet201", "DenseNet with 201 layers: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = recipe_torchvision, [TWI_KERAS] = recipe_keras_torch}, twi_densenet_build, sizes_6_12_48_32, 0},
    {"googlenet", "GoogLeNet (Inception v1) with batch norm: torchvision names", {[TWI_TORCHVISION] = TORCHVISION(224, 256, "bilinear", HALF)}, twi_googlenet_build, NULL, 0},
    {"inception_v3", "Inception v3: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = TORCHVISION(299, 342, "bilinear", HALF), [TWI_KERAS] = KERAS(299, TF)}, twi_inception_build, NULL, 0},
    {"inception_resnet_v2", "Inception-ResNet v2: Keras HDF5", {[TWI_KERAS] = KERAS(299, TF)}, twi_inception_resnet_build, NULL, 0},
    {"nasnet_mobile", "NASNet-A (4 @ 1056): Keras HDF5", {[TWI_KERAS] = recipe_keras_tf}, twi_nasnet_build, sizes_4_4_4, 0},
    {"nasnet_large", "NASNet-A (6 @ 4032): Keras HDF5", {[TWI_KERAS] = KERAS(331, TF)}, twi_nasnet_build, sizes_6_6_6, 1},
    {"xception", "Xception: Keras HDF5", {[TWI_KERAS] = KERAS(299, TF)}, twi_xception_build, NULL, 0},
    {"mobilenet", "MobileNet of any width: Keras HDF5", {[TWI_KERAS] = recipe_keras_tf}, twi_mobilenet_build, sizes_1_2_1_2_1_2_1_1_1_1_1_2_1, 0},
    {"mobilenet_v2", "MobileNet V2 of any width: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = recipe_torchvision, [TWI_KERAS] = recipe_keras_tf}, twi_mobilenet_v2_build, NULL, 0},
    {"mobilenet_v3_large", "MobileNet V3 large: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = recipe_torchvision, [TWI_KERAS] = recipe_keras_tf}, twi_mobilenet_v3_build, NULL, 0},
    {"mobilenet_v3_small", "MobileNet V3 small: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = recipe_torchvision, [TWI_KERAS] = recipe_keras_tf}, twi_mobilenet_v3_build, NULL, 1},
    {"shufflenet_v2_x0_5", "ShuffleNet V2: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_shufflenet_build, sizes_4_8_4, 0},
    {"shufflenet_v2_x1_0", "ShuffleNet V2: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_shufflenet_build, sizes_4_8_4, 0},
    {"shufflenet_v2_x1_5", "ShuffleNet V2: torchvision names", {[TWI_TORCHVISION] = TORCHVISION(224, 232, "bilinear", TORCH)}, twi_shufflenet_build, sizes_4_8_4, 0},
    {"shufflenet_v2_x2_0", "ShuffleNet V2: torchvision names", {[TWI_TORCHVISION] = TORCHVISION(224, 232, "bilinear", TORCH)}, twi_shufflenet_build, sizes_4_8_4, 0},
    {"mnasnet0_5", "MNASNet: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_mnasnet_build, NULL, 0},
    {"mnasnet0_75", "MNASNet: torchvision names", {[TWI_TORCHVISION] = TORCHVISION(224, 232, "bilinear", TORCH)}, twi_mnasnet_build, NULL, 0},
    {"mnasnet1_0", "MNASNet: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_mnasnet_build, NULL, 0},
    {"mnasnet1_3", "MNASNet: torchvision names", {[TWI_TORCHVISION] = TORCHVISION(224, 232, "bilinear", TORCH)}, twi_mnasnet_build, NULL, 0},
    {"efficientnet_b0", "EfficientNet B0: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = TORCHVISION(224, 256, "bicubic", TORCH), [TWI_KERAS] = KERAS(224, UNIT)}, twi_efficientnet_build, sizes_1_2_2_3_3_4_1, 0},
    {"efficientnet_b1", "EfficientNet B1: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = TORCHVISION(240, 256, "bicubic", TORCH), [TWI_KERAS] = KERAS(240, UNIT)}, twi_efficientnet_build, sizes_2_3_3_4_4_5_2, 0},
    {"efficientnet_b2", "EfficientNet B2: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = TORCHVISION(288, 288, "bicubic", TORCH), [TWI_KERAS] = KERAS(260, UNIT)}, twi_efficientnet_build, sizes_2_3_3_4_4_5_2, 0},
    {"efficientnet_b3", "EfficientNet B3: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = TORCHVISION(300, 320, "bicubic", TORCH), [TWI_KERAS] = KERAS(300, UNIT)}, twi_efficientnet_build, sizes_2_3_3_5_5_6_2, 0},
    {"efficientnet_b4", "EfficientNet B4: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = TORCHVISION(380, 384, "bicubic", TORCH), [TWI_KERAS] = KERAS(380, UNIT)}, twi_efficientnet_build, sizes_2_4_4_6_6_8_2, 0},
    {"efficientnet_b5", "EfficientNet B5: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = TORCHVISION(456, 456, "bicubic", TORCH), [TWI_KERAS] = KERAS(456, UNIT)}, twi_efficientnet_build, sizes_3_5_5_7_7_9_3, 1},
    {"efficientnet_b6", "EfficientNet B6: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = TORCHVISION(528, 528, "bicubic", TORCH), [TWI_KERAS] = KERAS(528, UNIT)}, twi_efficientnet_build, sizes_3_6_6_8_8_11_3, 1},
    {"efficientnet_b7", "EfficientNet B7: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = TORCHVISION(600, 600, "bicubic", TORCH), [TWI_KERAS] = KERAS(600, UNIT)}, twi_efficientnet_build, sizes_4_7_7_10_10_13_4, 1},
    {"efficientnet_v2_s", "EfficientNet V2 S: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = TORCHVISION(384, 384, "bilinear", TORCH), [TWI_KERAS] = KERAS(384, BY_128)}, twi_efficientnet_v2_build, sizes_2_4_4_6_9_15, 0},
    {"efficientnet_v2_m", "EfficientNet V2 M: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = TORCHVISION(480, 480, "bilinear", TORCH), [TWI_KERAS] = KERAS(480, BY_128)}, twi_efficientnet_v2_build, sizes_3_5_5_7_14_18_5, 0},
    {"efficientnet_v2_l", "EfficientNet V2 L: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = TORCHVISION(480, 480, "bicubic", HALF), [TWI_KERAS] = KERAS(480, BY_128)}, twi_efficientnet_v2_build, sizes_4_7_7_10_19_25_7, 0},
    {"efficientnet_v2_b0", "EfficientNet V2 B0: Keras HDF5", {[TWI_KERAS] = KERAS(224, TORCH)}, twi_efficientnet_v2_build, sizes_1_2_2_3_5_8, 0},
    {"efficientnet_v2_b1", "EfficientNet V2 B1: Keras HDF5", {[TWI_KERAS] = KERAS(240, TORCH)}, twi_efficientnet_v2_build, sizes_2_3_3_4_6_9, 0},
    {"efficientnet_v2_b2", "EfficientNet V2 B2: Keras HDF5", {[TWI_KERAS] = KERAS(260, TORCH)}, twi_efficientnet_v2_build, sizes_2_3_3_4_6_10, 0},
    {"efficientnet_v2_b3", "EfficientNet V2 B3: Keras HDF5", {[TWI_KERAS] = KERAS(300, TORCH)}, twi_efficientnet_v2_build, sizes_2_3_3_5_7_12, 0},
    {"regnet_y_400mf", "RegNet: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_regnet_build, sizes_1_3_6_6, 1},
    {"regnet_y_800mf", "RegNet: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_regnet_build, sizes_1_3_8_2, 1},
    {"regnet_y_1_6gf", "RegNet: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_regnet_build, sizes_2_6_17_2, 1},
    {"regnet_y_3_2gf", "RegNet: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_regnet_build, sizes_2_5_13_1, 1},
    {"regnet_y_8gf", "RegNet: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_regnet_build, sizes_2_4_10_1, 1},
    {"regnet_y_16gf", "RegNet: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_regnet_build, sizes_2_4_11_1, 1},
    {"regnet_y_32gf", "RegNet: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_regnet_build, sizes_2_5_12_1, 1},
    {"regnet_x_400mf", "RegNet: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_regnet_build, sizes_1_2_7_12, 0},
    {"regnet_x_800mf", "RegNet: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_regnet_build, sizes_1_3_7_5, 0},
    {"regnet_x_1_6gf", "RegNet: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_regnet_build, sizes_2_4_10_2, 0},
    {"regnet_x_3_2gf", "RegNet: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_regnet_build, sizes_2_6_15_2, 0},
    {"regnet_x_8gf", "RegNet: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_regnet_build, sizes_2_5_15_1, 0},
    {"regnet_x_16gf", "RegNet: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_regnet_build, sizes_2_6_13_1, 0},
    {"regnet_x_32gf", "RegNet: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_regnet_build, sizes_2_7_13_1, 0},
    {"regnetx002", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_1_1_4_7, 0},
    {"regnetx004", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_1_2_7_12, 0},
    {"regnetx006", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_1_3_5_7, 0},
    {"regnetx008", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_1_3_7_5, 0},
    {"regnetx016", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_2_4_10_2, 0},
    {"regnetx032", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_2_6_15_2, 0},
    {"regnetx040", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_2_5_14_2, 0},
    {"regnetx064", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_2_4_10_1, 0},
    {"regnetx080", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_2_5_15_1, 0},
    {"regnetx120", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_2_5_11_1, 0},
    {"regnetx160", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_2_6_13_1, 0},
    {"regnetx320", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_2_7_13_1, 0},
    {"regnety002", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_1_1_4_7, 1},
    {"regnety004", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_1_3_6_6, 1},
    {"regnety006", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_1_3_7_4, 1},
    {"regnety008", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_1_3_8_2, 1},
    {"regnety016", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_2_6_17_2, 1},
    {"regnety032", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_2_5_13_1, 1},
    {"regnety040", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_2_6_12_2, 1},
    {"regnety064", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_2_7_14_2, 1},
    {"regnety080", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_2_4_10_1, 1},
    {"regnety120", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_2_5_11_1, 1},
    {"regnety160", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_2_4_11_1, 1},
    {"regnety320", "RegNet: Keras HDF5", {[TWI_KERAS] = recipe_keras_unit}, twi_regnet_build, sizes_2_5_12_1, 1},
    {"convnext_tiny", "ConvNeXt: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = TORCHVISION(224, 236, "bilinear", TORCH), [TWI_KERAS] = recipe_keras_torch}, twi_convnext_build, sizes_3_3_9_3, 0},
    {"convnext_small", "ConvNeXt: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = TORCHVISION(224, 230, "bilinear", TORCH), [TWI_KERAS] = recipe_keras_torch}, twi_convnext_build, sizes_3_3_27_3, 0},
    {"convnext_base", "ConvNeXt: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = TORCHVISION(224, 232, "bilinear", TORCH), [TWI_KERAS] = recipe_keras_torch}, twi_convnext_build, sizes_3_3_27_3, 0},
    {"convnext_large", "ConvNeXt: Keras HDF5 or torchvision names", {[TWI_TORCHVISION] = TORCHVISION(224, 232, "bilinear", TORCH), [TWI_KERAS] = recipe_keras_torch}, twi_convnext_build, sizes_3_3_27_3, 0},
    {"convnext_xlarge", "ConvNeXt: Keras HDF5", {[TWI_KERAS] = recipe_keras_torch}, twi_convnext_build, sizes_3_3_27_3, 0},
    {"vit_b_16", "Vision Transformer: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_vit_build, sizes_12_12, 16},
    {"vit_b_32", "Vision Transformer: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_vit_build, sizes_12_12, 32},
    {"vit_l_16", "Vision Transformer: torchvision names", {[TWI_TORCHVISION] = TORCHVISION(224, 242, "bilinear", TORCH)}, twi_vit_build, sizes_24_16, 16},
    {"vit_l_32", "Vision Transformer: torchvision names", {[TWI_TORCHVISION] = recipe_torchvision}, twi_vit_build, sizes_24_16, 32},
    {"swin_t", "Swin Transformer: torchvision names", {[TWI_TORCHVISION] = TORCHVISION(224, 232, "bicubic", TORCH)}, twi_swin_build, sizes_2_2_6_2, 0},
    {"swin_s", "Swin Transformer: torchvision names", {[TWI_TORCHVISION] = TORCHVISION(224, 246, "bicubic", TORCH)}, twi_swin_build, sizes_2_2_18_2, 0},
    {"swin_b", "Swin Transformer: torchvision names", {[TWI_TORCHVISION] = TORCHVISION(224, 238, "bicubic", TORCH)}, twi_swin_build, sizes_2_2_18_2, 0},
};
/* clang-format on */

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
