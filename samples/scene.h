/* scene.h - one picture of the sample set: background, clutter, the thing, light, lens and sensor.
 */
#ifndef SAMPLES_SCENE_H
#define SAMPLES_SCENE_H

#include "shapes.h"

/* Draws what into picture [its height, its width], 8-bit RGB into bytes [height, width, 3]. pixels
 * is scratch of the same size. Everything random comes from d. */
void scene_draw(const shape *what, dice *d, canvas *picture, colour *scratch, unsigned char *bytes);

#endif
