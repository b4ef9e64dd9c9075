/* Sums of products over three loops: what lies where, and lanes one by one. */
#define EDGEBLL_OFTEN
#include "sum_loops.h"

/* Wraps where ways lead nowhere, which must not overflow. */
static int32_t skip(int32_t way, int32_t count, int32_t inner_way)
{
    return (int32_t)((uint32_t)way - (uint32_t)count * (uint32_t)inner_way);
}

void edgebll_set_loops(struct edgebll_products *p)
{
    struct edgebll_loops *loops = &p->loops;
    int from[3] = {0, 1, 2}, i, filled = 3;
    for (i = 2; i >= 0; i--) {
        if (p->count[i] > 1) from[--filled] = i;
    }
#ifdef EDGEBLL_FAST
    /* Any order of the terms will do: where lanes are neighbours, the longest loop costs least as the innermost. */
    for (i = filled; i < 2 && p->across == 1; i++) {
        const int longer = from[i];
        if (p->count[longer] > p->count[from[2]]) from[i] = from[2], from[2] = longer;
    }
#endif
    for (i = 0; i < 3; i++) loops->count[i] = i < filled ? 1 : p->count[from[i]];
    loops->way_a = filled < 3 ? p->shared_way[from[2]] : 0;
    loops->way_b = filled < 3 ? p->lanes_way[from[2]] : 0;
    for (i = 0; i < 2; i++) {
        loops->skip_a[i] = i < filled ? 0 : skip(p->shared_way[from[i]], loops->count[i + 1], p->shared_way[from[i + 1]]);
        loops->skip_b[i] = i < filled ? 0 : skip(p->lanes_way[from[i]], loops->count[i + 1], p->lanes_way[from[i + 1]]);
    }
    p->terms = p->count[0] * p->count[1] * p->count[2];
}

float edgebll_sum(const struct edgebll_products *p, const float *b)
{
    const int32_t way_a = p->loops.way_a, way_b = p->loops.way_b;
    const float *a = edgebll_floats(p->shared);
    float sum = -0.0f;
    if (p->terms != 0) ALL_TERMS((sum = sum + *a * *b, MOVE_TWO(way_a, way_b)), MOVE_TWO(skip_a, skip_b));
    return sum;
}

#ifdef EDGEBLL_SMALL
void edgebll_sums(const struct edgebll_products *p, float *to, int32_t step, uint32_t n)
{
    const float *lane = edgebll_floats(p->lanes);
    for (; n != 0; n--, lane += p->across, to += step) *to = edgebll_sum(p, lane);
}
#endif
