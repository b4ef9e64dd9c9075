/* Sums of products, several lanes at a time: they share one factor, and each keeps the order of its own sum. Nothing else takes so long. */
#include "sum_loops.h"

/* Four lanes whose factors lie side by side in the innermost loop: each is fetched and moved on in one instruction. */
static APART void four_in_line(const struct edgebll_products *p, const float *a, const float *b0, float *to, int32_t step)
{
    const float *b1 = b0 + p->across, *b2 = b1 + p->across, *b3 = b2 + p->across;
    float s0 = -0.0f, s1 = -0.0f, s2 = -0.0f, s3 = -0.0f, v;
    ALL_TERMS((v = *a++, s0 = s0 + v * *b0++, s1 = s1 + v * *b1++, s2 = s2 + v * *b2++, s3 = s3 + v * *b3++), SKIP_FIVE);
    to[0] = s0, to[step] = s1, to[2 * step] = s2, to[3 * step] = s3;
}

static APART void four_anywhere(const struct edgebll_products *p, const float *a, const float *b0, float *to, int32_t step)
{
    const float *b1 = b0 + p->across, *b2 = b1 + p->across, *b3 = b2 + p->across;
    const int32_t way_a = p->loops.way_a, way_b = p->loops.way_b;
    float s0 = -0.0f, s1 = -0.0f, s2 = -0.0f, s3 = -0.0f, v;
    ALL_TERMS((v = *a, s0 = s0 + v * *b0, s1 = s1 + v * *b1, s2 = s2 + v * *b2, s3 = s3 + v * *b3, SKIP_FIVE(way_a, way_b)), SKIP_FIVE);
    to[0] = s0, to[step] = s1, to[2 * step] = s2, to[3 * step] = s3;
}

/* Eight lanes that are neighbours. */
static APART void eight_neighbours(const struct edgebll_products *p, const float *a, const float *b0, float *to, int32_t step)
{
    const int32_t way_a = p->loops.way_a, way_b = p->loops.way_b;
    float s0 = -0.0f, s1 = -0.0f, s2 = -0.0f, s3 = -0.0f, s4 = -0.0f, s5 = -0.0f, s6 = -0.0f, s7 = -0.0f, v;
    ALL_TERMS((v = *a, s0 = s0 + v * b0[0], s1 = s1 + v * b0[1], s2 = s2 + v * b0[2], s3 = s3 + v * b0[3], s4 = s4 + v * b0[4],
               s5 = s5 + v * b0[5], s6 = s6 + v * b0[6], s7 = s7 + v * b0[7], SKIP_TWO(way_a, way_b)),
              SKIP_TWO);
    to[0] = s0, to[step] = s1, to[2 * step] = s2, to[3 * step] = s3;
    to += 4 * step;
    to[0] = s4, to[step] = s5, to[2 * step] = s6, to[3 * step] = s7;
}

static APART float one(const struct edgebll_products *p, const float *a, const float *b0)
{
    const int32_t way_a = p->loops.way_a, way_b = p->loops.way_b;
    float sum = -0.0f;
    ALL_TERMS((sum = sum + *a * *b0, SKIP_TWO(way_a, way_b)), SKIP_TWO);
    return sum;
}

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
    for (i = 0; i < 3; i++) loops->count[i] = i < filled ? 1 : p->count[from[i]];
    loops->way_a = filled < 3 ? p->shared_way[from[2]] : 0;
    loops->way_b = filled < 3 ? p->lanes_way[from[2]] : 0;
    for (i = 0; i < 2; i++) {
        loops->skip_a[i] = i < filled ? 0 : skip(p->shared_way[from[i]], loops->count[i + 1], p->shared_way[from[i + 1]]);
        loops->skip_b[i] = i < filled ? 0 : skip(p->lanes_way[from[i]], loops->count[i + 1], p->lanes_way[from[i + 1]]);
    }
    p->terms = p->count[0] * p->count[1] * p->count[2];
}

void edgebll_sums(const struct edgebll_products *p, float *to, int32_t step, uint32_t n)
{
    const float *shared = (const float *)(const void *)p->shared, *lanes = (const float *)(const void *)p->lanes;
    const int32_t across = p->across;
    uint32_t group;
#ifndef EDGEBLL_WITHOUT_INT8
    if (p->size == 1) {
        edgebll_int8_sums(p, to, step, n);
        return;
    }
#endif
    if (p->terms <= 1) {
        /* A sum of one product is the product; a sum of none is the zero that sums begin with. */
        const float factor = p->terms ? *shared : 0.0f;
        for (; n != 0; n--, lanes += across, to += step) *to = p->terms ? factor * *lanes : -0.0f;
        return;
    }
    group = n < 4 ? 1 : across == 1 && n >= 8 ? 8 : 4;
    while (n != 0) {
        /* The last lanes are summed twice where they do not fill a group: that is faster than one by one, and gives the same bits. */
        const int32_t back = n < group ? (int32_t)(group - n) : 0;
        lanes -= back * across, to -= back * step, n += (uint32_t)back;
        if (group == 1) *to = one(p, shared, lanes);
        else if (group == 8) eight_neighbours(p, shared, lanes, to, step);
        else if (p->loops.way_a == 1 && p->loops.way_b == 1) four_in_line(p, shared, lanes, to, step);
        else four_anywhere(p, shared, lanes, to, step);
        lanes += (int32_t)group * across, to += (int32_t)group * step, n -= group;
    }
}
