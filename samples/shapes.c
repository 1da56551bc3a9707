/* shapes.c - fish, leaf, mug, mushroom, wheel as signed distances. Segment, box and polygon
 * distances follow the usual geometry: project on the edge, take the sign from the winding. */
#include "shapes.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- primitives ---------------------------------------------------------------------------- */

static float disc(float x, float y, float radius)
{
    return length(x, y) - radius;
}

/* First-order distance: exact on the edge, which is all that painting needs. */
static float ellipse(float x, float y, float a, float b)
{
    const float k = length(x / a, y / b), slope = length(x / (a * a), y / (b * b));
    if (k < 1e-4f) return -least(a, b);
    return (k - 1) * k / slope;
}

static float box(float x, float y, float a, float b, float round)
{
    const float dx = fabsf(x) - a + round, dy = fabsf(y) - b + round;
    const float outside = length(most(dx, 0), most(dy, 0));
    return outside + least(most(dx, dy), 0) - round;
}

static float segment(float x, float y, const float ends[4], float radius)
{
    const float dx = ends[2] - ends[0], dy = ends[3] - ends[1];
    const float t = clamp01(((x - ends[0]) * dx + (y - ends[1]) * dy) / (dx * dx + dy * dy));
    return length(x - ends[0] - t * dx, y - ends[1] - t * dy) - radius;
}

/* corners [n, 2] */
static float polygon(float x, float y, const float (*corners)[2], size_t n)
{
    float nearest = 1e9f;
    bool inside = false;
    for (size_t i = 0, j = n - 1; i < n; j = i++) {
        const float ends[4] = {corners[j][0], corners[j][1], corners[i][0], corners[i][1]};
        nearest = least(nearest, segment(x, y, ends, 0));
        if ((ends[1] > y) != (ends[3] > y) &&
            x < (ends[2] - ends[0]) * (y - ends[1]) / (ends[3] - ends[1]) + ends[0])
            inside = !inside;
    }
    return inside ? -nearest : nearest;
}

float figure_distance(int figure, float x, float y)
{
    static const float triangle[3][2] = {{-0.9f, 0.7f}, {0.9f, 0.6f}, {0.1f, -0.9f}};
    switch (figure) {
    case 0:
        return disc(x, y, 0.8f);
    case 1:
        return box(x, y, 0.85f, 0.6f, 0.1f);
    case 2:
        return polygon(x, y, triangle, 3);
    default:
        return box(x, y, 1.0f, 0.16f, 0.1f);
    }
}

/* ---- fish ---------------------------------------------------------------------------------- */

static float fish_height(const look *l)
{
    return 0.26f + 0.2f * l->knobs[0];
}

static float fish_body(const look *l, float x, float y)
{
    /* pointed towards the tail */
    const float taper = 1 - 0.3f * clamp01(0.2f - x);
    return ellipse(x - 0.12f, y / taper, 0.78f, fish_height(l));
}

static float fish_tail(const look *l, float x, float y)
{
    const float spread = 0.3f + 0.22f * l->knobs[1], notch = 0.1f + 0.18f * l->knobs[2];
    const float corners[4][2] = {{-0.5f, 0}, {-1, -spread}, {-1 + notch, 0}, {-1, spread}};
    return polygon(x, y, corners, 4) - 0.03f;
}

static float fish_fins(const look *l, float x, float y)
{
    const float h = fish_height(l), tall = h + 0.12f + 0.16f * l->knobs[3];
    const float dorsal[4][2] = {
        {-0.35f, -0.6f * h}, {-0.22f, -tall}, {0.3f, -tall * 0.9f}, {0.42f, -0.7f * h}};
    const float belly[3][2] = {{-0.1f, 0.7f * h}, {-0.2f, tall}, {0.2f, 0.8f * h}};
    return least(polygon(x, y, dorsal, 4), polygon(x, y, belly, 3)) - 0.02f;
}

static float fish_gill(const look *l, float x, float y)
{
    const float ring = fabsf(disc(x - 0.78f, y, 0.36f)) - 0.018f;
    return most(most(ring, x - 0.5f), fabsf(y) - 0.7f * fish_height(l));
}

static float fish_side_fin(const look *l, float x, float y)
{
    const float tip = 0.1f + 0.2f * l->knobs[4];
    const float corners[3][2] = {{0.34f, 0.04f}, {0.0f, tip}, {0.12f, -0.02f}};
    return polygon(x, y, corners, 3) - 0.03f;
}

static float fish_eye(const look *l, float x, float y)
{
    return disc(x - 0.64f, y + 0.28f * fish_height(l), 0.085f);
}

static float fish_pupil(const look *l, float x, float y)
{
    return disc(x - 0.65f, y + 0.28f * fish_height(l), 0.045f);
}

static const part fish_parts[] = {
    {fish_fins, 1, false, 0.2f}, {fish_tail, 1, true, 0.3f},      {fish_body, 0, true, 1},
    {fish_gill, -1, false, 0},   {fish_side_fin, 1, false, 0.3f}, {fish_eye, -2, false, 0.5f},
    {fish_pupil, -1, false, 0},
};

/* ---- leaf ---------------------------------------------------------------------------------- */

static float leaf_width(const look *l, float x)
{
    const float t = clamp01((x + 1) / 2); /* 0 at the stem, 1 at the tip */
    const float belly = 0.55f + 0.6f * l->knobs[1];
    return (0.9f + 0.5f * l->knobs[0]) * powf(t, belly) * powf(1 - t, 0.75f);
}

static float leaf_blade(const look *l, float x, float y)
{
    const float teeth = l->knobs[2] > 0.5f ? 0.05f : 0.0f;
    const float saw = fabsf(fmodf((x + 2) * (7 + 6 * l->knobs[3]), 1.0f) - 0.5f) - 0.25f;
    const float width = leaf_width(l, x) + teeth * saw;
    const float across = 0.75f * (fabsf(y) - width); /* slopes are gentle: 0.75 is their cosine */
    return most(across, fabsf(x) - 1);
}

static float leaf_stem(const look *l, float x, float y)
{
    const float ends[4] = {-1.35f, 0.25f * (l->knobs[4] - 0.5f), -0.85f, 0};
    return segment(x, y, ends, 0.035f);
}

static float leaf_veins(const look *l, float x, float y)
{
    const float spine = fabsf(y) - 0.028f * (1 - 0.4f * x);
    const float gap = 0.2f + 0.1f * l->knobs[5];
    float along = fmodf(x - 0.9f * fabsf(y) + 4 * gap, gap);
    along = least(along, gap - along);
    const float inside = leaf_blade(l, x, y) + 0.05f;
    return most(least(spine, 0.74f * along - 0.011f), inside);
}

static const part leaf_parts[] = {
    {leaf_stem, 1, false, 0.5f},
    {leaf_blade, 0, true, 0.35f},
    {leaf_veins, 2, false, 0},
};

/* ---- mug ----------------------------------------------------------------------------------- */

static float mug_half_width(const look *l, float y)
{
    return 0.5f + 0.12f * (l->knobs[0] - 0.3f) * -y;
}

static float mug_body(const look *l, float x, float y)
{
    const float scale = 0.5f / mug_half_width(l, y);
    const float bottom = y > 0.5f ? ellipse(x * scale, y - 0.62f, 0.5f, 0.16f) : -1;
    const float sides = box(x * scale, y - 0.02f, 0.5f, 0.66f, 0.04f);
    return y > 0.62f ? bottom : most(sides, y - 0.64f);
}

static float mug_handle(const look *l, float x, float y)
{
    const float a = 0.26f + 0.1f * l->knobs[1], b = 0.32f + 0.1f * l->knobs[2];
    return fabsf(ellipse(x - 0.52f, y - 0.02f, a, b)) - 0.075f;
}

static float mug_rim(const look *l, float x, float y)
{
    return ellipse(x, y + 0.62f, mug_half_width(l, -0.62f), 0.1f + 0.12f * l->knobs[3]);
}

static float mug_inside(const look *l, float x, float y)
{
    return mug_rim(l, x, y) + 0.05f;
}

static float mug_drink(const look *l, float x, float y)
{
    return most(mug_inside(l, x, y), mug_rim(l, x, y - 0.12f) + 0.06f);
}

static const part mug_parts[] = {
    {mug_handle, 0, false, 0.8f}, {mug_body, 0, true, 0.7f}, {mug_rim, 0, false, 0.1f},
    {mug_inside, -1, false, 0},   {mug_drink, 2, false, 0},
};

/* ---- mushroom ------------------------------------------------------------------------------ */

static float mushroom_stem(const look *l, float x, float y)
{
    const float width = 0.17f + 0.12f * l->knobs[0];
    const float swell = 1 + 0.5f * l->knobs[1] * clamp01(y);
    return box(x / swell - 0.1f * (l->knobs[2] - 0.5f) * y, y - 0.38f, width, 0.6f, 0.12f);
}

static float mushroom_gills(const look *l, float x, float y)
{
    const float low = -0.05f - 0.1f * l->knobs[3];
    return ellipse(x, y - low, 0.86f, 0.15f + 0.06f * l->knobs[4]);
}

static float mushroom_cap(const look *l, float x, float y)
{
    const float low = -0.05f - 0.1f * l->knobs[3], tall = 0.55f + 0.35f * l->knobs[5];
    return most(ellipse(x, y - low, 0.9f, tall), y - low - 0.02f);
}

static float mushroom_spots(const look *l, float x, float y)
{
    float nearest = 1;
    for (int i = 0; i < 7; i++) {
        const float turn = 2.4f * (float)i + 6.28f * l->knobs[6], far = 0.3f * sqrtf((float)i);
        nearest = least(nearest, ellipse(x - far * cosf(turn), y + 0.38f - 0.45f * far * sinf(turn),
                                         0.13f, 0.09f));
    }
    return most(nearest, mushroom_cap(l, x, y) + 0.03f);
}

static const part mushroom_parts[] = {
    {mushroom_stem, 1, false, 0.8f},
    {mushroom_gills, 2, false, 0},
    {mushroom_cap, 0, true, 0.9f},
    {mushroom_spots, -2, false, 0.2f},
};

/* ---- wheel --------------------------------------------------------------------------------- */

static float wheel_tyre(const look *l, float x, float y)
{
    const float width = 0.09f + 0.07f * l->knobs[0];
    return fabsf(disc(x, y, 0.98f - width)) - width;
}

static float wheel_rim(const look *l, float x, float y)
{
    const float tyre = 0.18f + 0.14f * l->knobs[0], width = 0.04f;
    return fabsf(disc(x, y, 0.98f - tyre - width)) - width;
}

static float wheel_spokes(const look *l, float x, float y)
{
    const float n = floorf(5 + 8 * l->knobs[1]), step = 6.2831853f / n;
    float turn = fmodf(atan2f(y, x) + 6.2831853f, step);
    turn = least(turn, step - turn);
    const float far = length(x, y);
    const float across = far * sinf(turn) - (0.03f + 0.05f * l->knobs[2]);
    return most(across, far - 0.75f);
}

static float wheel_hub(const look *l, float x, float y)
{
    return disc(x, y, 0.14f + 0.1f * l->knobs[3]);
}

static float wheel_bolt(const look *l, float x, float y)
{
    return disc(x, y, 0.05f + 0.04f * l->knobs[3]);
}

static const part wheel_parts[] = {
    {wheel_spokes, 1, false, 0.4f}, {wheel_tyre, 0, true, 0.8f}, {wheel_rim, 1, false, 0.5f},
    {wheel_hub, 2, false, 0.8f},    {wheel_bolt, -1, false, 0},
};

/* ---- all ----------------------------------------------------------------------------------- */

const shape shapes[] = {
    {"fish", 0.6f, 1.15f, fish_parts, LEN(fish_parts)},
    {"leaf", 3.1416f, 1.05f, leaf_parts, LEN(leaf_parts)},
    {"mug", 0.4f, 1.05f, mug_parts, LEN(mug_parts)},
    {"mushroom", 0.5f, 1.0f, mushroom_parts, LEN(mushroom_parts)},
    {"wheel", 3.1416f, 0.9f, wheel_parts, LEN(wheel_parts)},
};
const size_t n_shapes = LEN(shapes);
