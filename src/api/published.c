/* published.c - addresses and hashes: facts from the source of keras.applications (Keras 3),
 * vgg16.py, vgg19.py and resnet.py. Nothing is fetched from here; the message names the commands.
 */
#include "api/published.h"

#include <string.h>

#define AT       "https://storage.googleapis.com/tensorflow/keras-applications/"
#define NO_TOP   "_weights_tf_dim_ordering_tf_kernels_notop.h5"
#define WITH_TOP "_weights_tf_dim_ordering_tf_kernels.h5"
#define FILES(folder, name, trunk_md5, classifier_md5)                                             \
    {                                                                                              \
        name, {AT folder "/" name NO_TOP, trunk_md5},                                              \
        {                                                                                          \
            AT folder "/" name WITH_TOP, classifier_md5                                            \
        }                                                                                          \
    }

static const twi_published published[] = {
    FILES("vgg16", "vgg16", "6d6bbae143d832006294945121d1f1fc", "64373286793e3c8b2b4e3219cbf3544b"),
    FILES("vgg19", "vgg19", "253f8cb515780f3b799900260a226db6", "cbe5617147190e668d6c5d5026f83318"),
    FILES("resnet", "resnet50", "4d473c1dd8becc155b73f8504c6f6626",
          "2cb95161c43110f7111970584f804107"),
    FILES("resnet", "resnet101", "88cf7a10940856eca736dc7b7e228a21",
          "f1aeb4b969a6efcfb50fad2f0c20cfc5"),
    FILES("resnet", "resnet152", "ee4c566cf9a93f14d82f913c2dc6dd0c",
          "100835be76be38e30d865e96f2aaae62"),
};

const twi_published *twi_published_find(const char *name)
{
    for (size_t i = 0; i < TWI_LEN(published); i++)
        if (strcmp(published[i].name, name) == 0) return &published[i];
    return NULL;
}

void twi_published_explain(const char *name, twi_text *out)
{
    const twi_published *p = twi_published_find(name);
    if (!p) return;
    const char *file = strrchr(p->trunk.address, '/') + 1;
    twi_text_format(
        out,
        "\n%s is published at %s (MD5 %s). To install it:\n"
        "  curl -LO %s\n"
        "  echo '%s  %s' | md5sum -c\n"
        "  dir=${XDG_DATA_HOME:-$HOME/.local/share}/topwork/backbones; mkdir -p \"$dir\"\n"
        "  topwork backbone import %s --arch %s -o \"$dir/%s.tw\"\n"
        "The same with its classifier, for topwork classify: %s (MD5 %s)",
        name, p->trunk.address, p->trunk.md5, p->trunk.address, p->trunk.md5, file, file, name,
        name, p->classifier.address, p->classifier.md5);
}
