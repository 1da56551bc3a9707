/* shapes.h - what the sample set shows: things put together from parts, each part a signed
 * distance. */
#ifndef SAMPLES_SHAPES_H
#define SAMPLES_SHAPES_H

#include "canvas.h"

#define KNOBS 8

/* What makes one fish differ from the next. Knobs are uniform in 0..1; each shape reads them its
 * own way. */
typedef struct look {
    float knobs[KNOBS];
    colour colours[4];
    uint32_t seed;   /* of the surface noise */
    int pattern;     /* PATTERN_... */
    float frequency; /* of the pattern */
    float along[2];  /* its direction */
} look;

enum { PATTERN_NONE, PATTERN_STRIPES, PATTERN_SPOTS, PATTERN_BLOTCHES, PATTERNS };

/* Signed distance, negative inside, about right near the edge. The thing lies within -1..1. */
typedef float (*distance_fn)(const look *l, float x, float y);

typedef struct part {
    distance_fn distance;
    int colour;     /* of the look's colours; -1: dark, -2: light */
    bool patterned; /* carries the look's pattern */
    float relief;   /* 0: flat, 1: round */
} part;

typedef struct shape {
    const char *name;
    float tilt; /* turned by up to this much (radians) from upright */
    float size; /* evens out the area that the shapes cover */
    const part *parts;
    size_t n_parts;
} shape;

extern const shape shapes[];
extern const size_t n_shapes;

/* Plain figures for clutter: 0 disc, 1 box, 2 triangle, 3 bar. */
float figure_distance(int figure, float x, float y);

#endif
