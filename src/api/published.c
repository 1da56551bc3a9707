/* published.c - addresses and hashes: facts from the source of keras.applications (Keras 3; of
 * RegNet, which that has no more, tf-keras). A row can be pulled once topwork-import knows its
 * architecture: the program is asked, not this table. */
#include "api/published.h"
#include "api/child.h"

#include <string.h>

#define TF    "https://storage.googleapis.com/tensorflow/keras-applications/"
#define KERAS "https://storage.googleapis.com/keras-applications/"

/* clang-format off */
static const twi_published published[] = {
    {"vgg16", "vgg16", TF "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "md5:6d6bbae143d832006294945121d1f1fc", 224, 512, 58889256},
    {"vgg16+top", "vgg16", TF "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5", "md5:64373286793e3c8b2b4e3219cbf3544b", 224, 512, 0},
    {"vgg19", "vgg19", TF "vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5", "md5:253f8cb515780f3b799900260a226db6", 224, 512, 0},
    {"vgg19+top", "vgg19", TF "vgg19/vgg19_weights_tf_dim_ordering_tf_kernels.h5", "md5:cbe5617147190e668d6c5d5026f83318", 224, 512, 0},
    {"resnet50", "resnet50", TF "resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", "md5:4d473c1dd8becc155b73f8504c6f6626", 224, 2048, 0},
    {"resnet50+top", "resnet50", TF "resnet/resnet50_weights_tf_dim_ordering_tf_kernels.h5", "md5:2cb95161c43110f7111970584f804107", 224, 2048, 0},
    {"resnet101", "resnet101", TF "resnet/resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5", "md5:88cf7a10940856eca736dc7b7e228a21", 224, 2048, 0},
    {"resnet101+top", "resnet101", TF "resnet/resnet101_weights_tf_dim_ordering_tf_kernels.h5", "md5:f1aeb4b969a6efcfb50fad2f0c20cfc5", 224, 2048, 0},
    {"resnet152", "resnet152", TF "resnet/resnet152_weights_tf_dim_ordering_tf_kernels_notop.h5", "md5:ee4c566cf9a93f14d82f913c2dc6dd0c", 224, 2048, 0},
    {"resnet152+top", "resnet152", TF "resnet/resnet152_weights_tf_dim_ordering_tf_kernels.h5", "md5:100835be76be38e30d865e96f2aaae62", 224, 2048, 0},
    {"resnet50v2", "resnet50v2", TF "resnet/resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5", "md5:fac2f116257151a9d068a22e544a4917", 224, 2048, 0},
    {"resnet50v2+top", "resnet50v2", TF "resnet/resnet50v2_weights_tf_dim_ordering_tf_kernels.h5", "md5:3ef43a0b657b3be2300d5770ece849e0", 224, 2048, 0},
    {"resnet101v2", "resnet101v2", TF "resnet/resnet101v2_weights_tf_dim_ordering_tf_kernels_notop.h5", "md5:c0ed64b8031c3730f411d2eb4eea35b5", 224, 2048, 0},
    {"resnet101v2+top", "resnet101v2", TF "resnet/resnet101v2_weights_tf_dim_ordering_tf_kernels.h5", "md5:6343647c601c52e1368623803854d971", 224, 2048, 0},
    {"resnet152v2", "resnet152v2", TF "resnet/resnet152v2_weights_tf_dim_ordering_tf_kernels_notop.h5", "md5:ed17cf2e0169df9d443503ef94b23b33", 224, 2048, 0},
    {"resnet152v2+top", "resnet152v2", TF "resnet/resnet152v2_weights_tf_dim_ordering_tf_kernels.h5", "md5:a49b44d1979771252814e80f8ec446f9", 224, 2048, 0},
    {"resnext50", "resnext50", TF "resnet/resnext50_weights_tf_dim_ordering_tf_kernels_notop.h5", "md5:62527c363bdd9ec598bed41947b379fc", 224, 2048, 0},
    {"resnext50+top", "resnext50", TF "resnet/resnext50_weights_tf_dim_ordering_tf_kernels.h5", "md5:67a5b30d522ed92f75a1f16eef299d1a", 224, 2048, 0},
    {"resnext101", "resnext101", TF "resnet/resnext101_weights_tf_dim_ordering_tf_kernels_notop.h5", "md5:0f678c91647380debd923963594981b3", 224, 2048, 0},
    {"resnext101+top", "resnext101", TF "resnet/resnext101_weights_tf_dim_ordering_tf_kernels.h5", "md5:34fb605428fcc7aa4d62f44404c11509", 224, 2048, 0},
    {"mobilenet-1.0", "mobilenet", TF "mobilenet/mobilenet_1_0_224_tf_no_top.h5", NULL, 224, 1024, 0},
    {"mobilenet-7.5", "mobilenet", TF "mobilenet/mobilenet_7_5_224_tf_no_top.h5", NULL, 224, 768, 0},
    {"mobilenet-5.0", "mobilenet", TF "mobilenet/mobilenet_5_0_224_tf_no_top.h5", NULL, 224, 512, 0},
    {"mobilenet-2.5", "mobilenet", TF "mobilenet/mobilenet_2_5_224_tf_no_top.h5", NULL, 224, 256, 0},
    {"mobilenetv2-0.35", "mobilenet_v2", TF "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5", NULL, 224, 1280, 0},
    {"mobilenetv2-0.5", "mobilenet_v2", TF "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.5_224_no_top.h5", NULL, 224, 1280, 0},
    {"mobilenetv2-0.75", "mobilenet_v2", TF "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.75_224_no_top.h5", NULL, 224, 1280, 0},
    {"mobilenetv2-1.0", "mobilenet_v2", TF "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5", NULL, 224, 1280, 0},
    {"mobilenetv2-1.3", "mobilenet_v2", TF "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.3_224_no_top.h5", NULL, 224, 1664, 0},
    {"mobilenetv2-1.4", "mobilenet_v2", TF "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.4_224_no_top.h5", NULL, 224, 1792, 0},
    {"densenet121", "densenet121", TF "densenet/densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5", "md5:30ee3e1110167f948a6b9946edeeb738", 224, 1024, 0},
    {"densenet169", "densenet169", TF "densenet/densenet169_weights_tf_dim_ordering_tf_kernels_notop.h5", "md5:b8c4d4c20dd625c148057b9ff1c1176b", 224, 1664, 0},
    {"densenet201", "densenet201", TF "densenet/densenet201_weights_tf_dim_ordering_tf_kernels_notop.h5", "md5:c13680b51ded0fb44dff2d8f86ac8bb1", 224, 1920, 0},
    {"efficientnetb0", "efficientnet_b0", KERAS "efficientnetb0_notop.h5", "md5:50bc09e76180e00e4465e1a485ddc09d", 224, 1280, 0},
    {"efficientnetb1", "efficientnet_b1", KERAS "efficientnetb1_notop.h5", "md5:74c4e6b3e1f6a1eea24c589628592432", 240, 1280, 0},
    {"efficientnetb2", "efficientnet_b2", KERAS "efficientnetb2_notop.h5", "md5:111f8e2ac8aa800a7a99e3239f7bfb39", 260, 1408, 0},
    {"efficientnetb3", "efficientnet_b3", KERAS "efficientnetb3_notop.h5", "md5:af6d107764bb5b1abb91932881670226", 300, 1536, 0},
    {"efficientnetb4", "efficientnet_b4", KERAS "efficientnetb4_notop.h5", "md5:ebc24e6d6c33eaebbd558eafbeedf1ba", 380, 1792, 0},
    {"efficientnetb5", "efficientnet_b5", KERAS "efficientnetb5_notop.h5", "md5:38879255a25d3c92d5e44e04ae6cec6f", 456, 2048, 0},
    {"efficientnetb6", "efficientnet_b6", KERAS "efficientnetb6_notop.h5", "md5:9ecce42647a20130c1f39a5d4cb75743", 528, 2304, 0},
    {"efficientnetb7", "efficientnet_b7", KERAS "efficientnetb7_notop.h5", "md5:cbcfe4450ddf6f3ad90b1b398090fe4a", 600, 2560, 0},
    {"inceptionv3", "inception_v3", TF "inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5", "md5:bcbd6486424b2319ff4ef7d526e38f63", 299, 2048, 87910968},
    {"xception", "xception", TF "xception/xception_weights_tf_dim_ordering_tf_kernels_notop.h5", "md5:b0042744bf5b25fce3cb969f33bebb97", 299, 2048, 0},
    {"convnext_tiny", "convnext_tiny", TF "convnext/convnext_tiny_notop.h5", "sha256:d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1", 224, 768, 0},
    {"convnext_small", "convnext_small", TF "convnext/convnext_small_notop.h5", "sha256:6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab", 224, 768, 0},
    {"convnext_base", "convnext_base", TF "convnext/convnext_base_notop.h5", "sha256:40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45", 224, 1024, 0},
    {"convnext_large", "convnext_large", TF "convnext/convnext_large_notop.h5", "sha256:96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd", 224, 1536, 0},
    {"convnext_xlarge", "convnext_xlarge", TF "convnext/convnext_xlarge_notop.h5", "sha256:de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05", 224, 2048, 0},
    {"nasnet_mobile", "nasnet_mobile", TF "nasnet/NASNet-mobile-no-top.h5", "md5:1ed92395b5b598bdda52abe5c0dbfd63", 224, 1056, 0},
    {"nasnet_mobile+top", "nasnet_mobile", TF "nasnet/NASNet-mobile.h5", "md5:020fb642bf7360b370c678b08e0adf61", 224, 1056, 0},
    {"nasnet_large", "nasnet_large", TF "nasnet/NASNet-large-no-top.h5", "md5:d81d89dc07e6e56530c4e77faddd61b5", 331, 4032, 0},
    {"nasnet_large+top", "nasnet_large", TF "nasnet/NASNet-large.h5", "md5:11577c9a518f0070763c2b964a382f17", 331, 4032, 0},
    {"regnetx002", "regnetx002", TF "regnet/regnetx002_notop.h5", "sha256:5445b66cd50445eb7ecab094c1e78d4d3d29375439d1a7798861c4af15ffff21", 224, 368, 0},
    {"regnetx002+top", "regnetx002", TF "regnet/regnetx002.h5", "sha256:49fb46e56cde07fdaf57bffd851461a86548f6a3a4baef234dd37290b826c0b8", 224, 368, 0},
    {"regnetx004", "regnetx004", TF "regnet/regnetx004_notop.h5", "sha256:de139bf07a66c9256f2277bf5c1b6dd2d5a3a891a5f8a925a10c8a0a113fd6f3", 224, 384, 0},
    {"regnetx004+top", "regnetx004", TF "regnet/regnetx004.h5", "sha256:3523c7f5ac0dbbcc2fd6d83b3570e7540f7449d3301cc22c29547302114e4088", 224, 384, 0},
    {"regnetx006", "regnetx006", TF "regnet/regnetx006_notop.h5", "sha256:a43ec97ad62f86b2a96a783bfdc63a5a54de02eef54f26379ea05e1bf90a9505", 224, 528, 0},
    {"regnetx006+top", "regnetx006", TF "regnet/regnetx006.h5", "sha256:340216ef334a7bae30daac9f414e693c136fac9ab868704bbfcc9ce6a5ec74bb", 224, 528, 0},
    {"regnetx008", "regnetx008", TF "regnet/regnetx008_notop.h5", "sha256:3c7e4b0917359304dc18e644475c5c1f5e88d795542b676439c4a3acd63b7207", 224, 672, 0},
    {"regnetx008+top", "regnetx008", TF "regnet/regnetx008.h5", "sha256:8f145d6a5fae6da62677bb8d26eb92d0b9dfe143ec1ebf68b24a57ae50a2763d", 224, 672, 0},
    {"regnetx016", "regnetx016", TF "regnet/regnetx016_notop.h5", "sha256:1b8e3d545d190271204a7b2165936a227d26b79bb7922bac5ee4d303091bf17a", 224, 912, 0},
    {"regnetx016+top", "regnetx016", TF "regnet/regnetx016.h5", "sha256:31c386f4c7bfef4c021a583099aa79c1b3928057ba1b7d182f174674c5ef3510", 224, 912, 0},
    {"regnetx032", "regnetx032", TF "regnet/regnetx032_notop.h5", "sha256:9cd4522806c0fcca01b37874188b2bd394d7c419956d77472a4e072b01d99041", 224, 1008, 0},
    {"regnetx032+top", "regnetx032", TF "regnet/regnetx032.h5", "sha256:6c025df1409e5ea846375bc9dfa240956cca87ef57384d93fef7d6fa90ca8c7f", 224, 1008, 0},
    {"regnetx040", "regnetx040", TF "regnet/regnetx040_notop.h5", "sha256:b4ed0ca0b9a98e789e05000e830403a7ade4d8afa01c73491c44610195198afe", 224, 1360, 0},
    {"regnetx040+top", "regnetx040", TF "regnet/regnetx040.h5", "sha256:ba128046c588a26dbd3b3a011b26cb7fa3cf8f269c184c132372cb20b6eb54c1", 224, 1360, 0},
    {"regnetx064", "regnetx064", TF "regnet/regnetx064_notop.h5", "sha256:3e706fa416a18dfda14c713423eba8041ae2509db3e0a611d5f599b5268a46c4", 224, 1624, 0},
    {"regnetx064+top", "regnetx064", TF "regnet/regnetx064.h5", "sha256:0f4489c3cd3ad979bd6b0324213998bcb36dc861d178f977997ebfe53c3ba564", 224, 1624, 0},
    {"regnetx080", "regnetx080", TF "regnet/regnetx080_notop.h5", "sha256:7b1ce8e29ceefec10a6569640ee329dba7fbc98b5d0f6346aabade058b66cf29", 224, 1920, 0},
    {"regnetx080+top", "regnetx080", TF "regnet/regnetx080.h5", "sha256:76320e43272719df648db37271a247c22eb6e810fe469c37a5db7e2cb696d162", 224, 1920, 0},
    {"regnetx120", "regnetx120", TF "regnet/regnetx120_notop.h5", "sha256:36174ddd0299db04a42631d028abcb1cc7afec2b705e42bd28fcd325e5d596bf", 224, 2240, 0},
    {"regnetx120+top", "regnetx120", TF "regnet/regnetx120.h5", "sha256:5cafc461b78897d5e4f24e68cb406d18e75f31105ef620e7682b611bb355eb3a", 224, 2240, 0},
    {"regnetx160", "regnetx160", TF "regnet/regnetx160_notop.h5", "sha256:9d1485050bdf19531ffa1ed7827c75850e0f2972118a996b91aa9264b088fd43", 224, 2048, 0},
    {"regnetx160+top", "regnetx160", TF "regnet/regnetx160.h5", "sha256:8093f57a5824b181fb734ea21ae34b1f7ee42c5298e63cf6d587c290973195d2", 224, 2048, 0},
    {"regnetx320", "regnetx320", TF "regnet/regnetx320_notop.h5", "sha256:9db7eacc37b85c98184070e1a172e6104c00846f44bcd4e727da9e50d9692398", 224, 2520, 0},
    {"regnetx320+top", "regnetx320", TF "regnet/regnetx320.h5", "sha256:91fb3e6f4e9e44b3687e80977f7f4412ee9937c0c704232664fc83e4322ea01e", 224, 2520, 0},
    {"regnety002", "regnety002", TF "regnet/regnety002_notop.h5", "sha256:f63221f63d625b8e201221499682587bfe29d33f50a4c4f4d53be00f66c0f12c", 224, 368, 0},
    {"regnety002+top", "regnety002", TF "regnet/regnety002.h5", "sha256:1e8091c674532b1a61c04f6393a9c570113e0197f22bd1b98cc4c4fe800c6465", 224, 368, 0},
    {"regnety004", "regnety004", TF "regnet/regnety004_notop.h5", "sha256:45e6ba8309a17a77e67afc05228454b2e0ee6be0dae65edc0f31f1da10cc066b", 224, 440, 0},
    {"regnety004+top", "regnety004", TF "regnet/regnety004.h5", "sha256:752fdbad21c78911bf1dcb8c513e5a0e14697b068e5d9e73525dbaa416d18d8e", 224, 440, 0},
    {"regnety006", "regnety006", TF "regnet/regnety006_notop.h5", "sha256:b70261cba4e60013c99d130cc098d2fce629ff978a445663b6fa4f8fc099a2be", 224, 608, 0},
    {"regnety006+top", "regnety006", TF "regnet/regnety006.h5", "sha256:98942e07b273da500ff9699a1f88aca78dfad4375faabb0bab784bb0dace80a9", 224, 608, 0},
    {"regnety008", "regnety008", TF "regnet/regnety008_notop.h5", "sha256:b11f5432a216ee640fe9be6e32939defa8d08b8d136349bf3690715a98752ca1", 224, 768, 0},
    {"regnety008+top", "regnety008", TF "regnet/regnety008.h5", "sha256:1b099377cc9a4fb183159a6f9b24bc998e5659d25a449f40c90cbffcbcfdcae4", 224, 768, 0},
    {"regnety016", "regnety016", TF "regnet/regnety016_notop.h5", "sha256:d7404f50205e82d793e219afb9eb2bfeb781b6b2d316a6128c6d7d7dacab7f57", 224, 888, 0},
    {"regnety016+top", "regnety016", TF "regnet/regnety016.h5", "sha256:b7ce1f5e223f0941c960602de922bcf846288ce7a4c33b2a4f2e4ac4b480045b", 224, 888, 0},
    {"regnety032", "regnety032", TF "regnet/regnety032_notop.h5", "sha256:eb3ac1c45ec60f4f031c3f5180573422b1cf7bebc26c004637517372f68f8937", 224, 1512, 0},
    {"regnety032+top", "regnety032", TF "regnet/regnety032.h5", "sha256:6a6a545cf3549973554c9b94f0cd40e25f229fffb1e7f7ac779a59dcbee612bd", 224, 1512, 0},
    {"regnety040", "regnety040", TF "regnet/regnety040_notop.h5", "sha256:b5be2a5e5f072ecdd9c0b8a437cd896df0efa1f6a1f77e41caa8719b7dfcb05d", 224, 1088, 0},
    {"regnety040+top", "regnety040", TF "regnet/regnety040.h5", "sha256:98d00118b335162bbffe8f1329e54e5c8e75ee09b2a5414f97b0ddfc56e796f6", 224, 1088, 0},
    {"regnety064", "regnety064", TF "regnet/regnety064_notop.h5", "sha256:885c4b7ed7ea339daca7dafa1a62cb7d41b1068897ef90a5a3d71b4a2e2db31a", 224, 1296, 0},
    {"regnety064+top", "regnety064", TF "regnet/regnety064.h5", "sha256:65c948c7a18aaecaad2d1bd4fd978987425604ba6669ef55a1faa0069a2804b7", 224, 1296, 0},
    {"regnety080", "regnety080", TF "regnet/regnety080_notop.h5", "sha256:3d119577e1e3bf8d153b895e8ea9e4ec150ff2d92abdca711b6e949c3fd7115d", 224, 2016, 0},
    {"regnety080+top", "regnety080", TF "regnet/regnety080.h5", "sha256:7a2c62da2982e369a4984d3c7c3b32d6f8d3748a71cb37a31156c436c37f3e95", 224, 2016, 0},
    {"regnety120", "regnety120", TF "regnet/regnety120_notop.h5", "sha256:4a6fa387108380b730b71feea2ad80b5224b5ea9dc21dc156c93fe3c6186485c", 224, 2240, 0},
    {"regnety120+top", "regnety120", TF "regnet/regnety120.h5", "sha256:a96ab0d27d3ae35a422ee7df0d789069b3e3217a99334e0ce861a96595bc5986", 224, 2240, 0},
    {"regnety160", "regnety160", TF "regnet/regnety160_notop.h5", "sha256:ead1e6b568be8f34447ec8941299a9df4368736ba9a8205de5427fa20a1fb316", 224, 3024, 0},
    {"regnety160+top", "regnety160", TF "regnet/regnety160.h5", "sha256:45067240ffbc7ca2591313fee2f80dbdda6d66ec1a7451446f9a6d00d8f7ac6e", 224, 3024, 0},
    {"regnety320", "regnety320", TF "regnet/regnety320_notop.h5", "sha256:cad78f74a586e24c61d38be17f3ae53bb9674380174d2585da1a526b8c20e1fd", 224, 3712, 0},
    {"regnety320+top", "regnety320", TF "regnet/regnety320.h5", "sha256:b05e173e4ae635cfa22d06392ee3741284d17dadfee68f2aa6fd8cb2b7561112", 224, 3712, 0},
};
/* clang-format on */

const twi_published *twi_published_at(size_t i)
{
    return i < TWI_LEN(published) ? &published[i] : NULL;
}

const twi_published *twi_published_find(const char *name)
{
    for (size_t i = 0; i < TWI_LEN(published); i++)
        if (strcmp(published[i].name, name) == 0) return &published[i];
    return NULL;
}

tw_status twi_published_ask(tw_ctx *ctx, twi_text *readable)
{
    twi_child child = {.ctx = ctx,
                       .stage = "list",
                       .subject = "the list of architectures",
                       .hears_output = true,
                       .wall_seconds = 60};
    tw_status st = twi_child_find(&child);
    if (st != TW_OK) return st;
    twi_child_add(&child, "--list=keras", NULL);
    st = twi_child_run(&child);
    if (st == TW_OK && child.said.length > 0)
        twi_text_add_bytes(readable, child.said.text, child.said.length);
    if (st == TW_OK && (child.said.failed || readable->failed))
        st = twi_fail(ctx, TW_ERR_NOMEM, "no memory for the list of architectures");
    twi_child_free(&child);
    return st;
}

static bool same_but_underscores(const char *a, const char *b, size_t b_length)
{
    const char *end = b + b_length;
    for (;; a++, b++) {
        while (*a == '_') a++;
        while (b < end && *b == '_') b++;
        if (b == end || !*a) return b == end && !*a;
        if (*a != *b) return false;
    }
}

bool twi_published_readable(const twi_published *row, const twi_text *readable, char *arch,
                            size_t size)
{
    const char *at = readable->text;
    while (at && *at) {
        const size_t length = strcspn(at, "\n");
        if (length < size && same_but_underscores(row->arch, at, length)) {
            memcpy(arch, at, length);
            arch[length] = '\0';
            return true;
        }
        at += length + (at[length] == '\n');
    }
    return false;
}

/* "MD5 0123...": how a hash is told. */
static void add_hash(const char *hash, twi_text *out)
{
    if (!hash)
        twi_text_add(out, "no hash stated");
    else if (strncmp(hash, "md5:", 4) == 0)
        twi_text_format(out, "MD5 %s", hash + 4);
    else
        twi_text_format(out, "SHA-256 %s", hash + 7);
}

void twi_published_explain(tw_ctx *ctx, const char *name, twi_text *out)
{
    const twi_published *row = twi_published_find(name);
    twi_text readable = {0};
    char arch[64], with_top[80];
    if (!row || twi_published_ask(ctx, &readable) != TW_OK) goto done;
    if (!twi_published_readable(row, &readable, arch, sizeof arch)) goto done;
    twi_text_format(out, "\n%s is published at %s (", name, row->address);
    add_hash(row->hash, out);
    twi_text_format(out, "). To fetch and install it:\n  topwork backbone pull %s", name);
    if (strlen(name) + 5 > sizeof with_top) goto done;
    memcpy(with_top, name, strlen(name));
    memcpy(with_top + strlen(name), "+top", 5);
    if (twi_published_find(with_top))
        twi_text_format(out,
                        "\nThe same with its classifier, for topwork classify: "
                        "topwork backbone pull %s",
                        with_top);
done:
    twi_text_free(&readable);
}
