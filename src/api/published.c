/* published.c - addresses and hashes: facts from the source of keras.applications (Keras 3). A row
 * can be pulled once topwork-import knows its architecture: the program is asked, not this table.
 */
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
