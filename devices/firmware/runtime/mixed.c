/* Sums of products of a float32 and an integer of 8 or 16 bits, which becomes a float32 before: four lanes at a time, each in its order. */
#define EDGEBLL_OFTEN
#include "sum_loops.h"

/* Built without int8 this file would be empty, which C has no word for. */
typedef int edgebll_mixed_is_here;

#ifndef EDGEBLL_WITHOUT_INT8

/* Where less than four lanes are left, the missing ones are the first again: it is summed and stored repeatedly, always with the same bits. */
#define LANES(name, shared_type, lane_type)                                                                                \
    APART void name(const struct edgebll_products *p, const uint8_t *lanes, float *to, const int32_t *lane)                \
    {                                                                                                                      \
        const shared_type *a = (const shared_type *)(const void *)p->shared;                                               \
        const lane_type *b = (const lane_type *)(const void *)lanes;                                                       \
        const int32_t n1 = lane[0] * p->across, n2 = lane[1] * p->across, n3 = lane[2] * p->across;                        \
        const int32_t way_a = p->loops.way_a, way_b = p->loops.way_b;                                                      \
        float s0 = -0.0f, s1 = -0.0f, s2 = -0.0f, s3 = -0.0f, v;                                                           \
        ALL_TERMS((v = (float)*a, s0 = s0 + v * (float)*b, s1 = s1 + v * (float)b[n1], s2 = s2 + v * (float)b[n2],         \
                   s3 = s3 + v * (float)b[n3], MOVE_TWO(way_a, way_b)), MOVE_TWO(skip_a, skip_b));                         \
        to[0] = s0, to[lane[0] * lane[3]] = s1, to[lane[1] * lane[3]] = s2, to[lane[2] * lane[3]] = s3;                    \
    }

LANES(float_by_int8, float, int8_t)
LANES(float_by_int16, float, int16_t)
LANES(int8_by_float, int8_t, float)
LANES(int16_by_float, int16_t, float)

APART float number_at(const uint8_t *at, int32_t size)
{
    return size == 1 ? (float)*(const int8_t *)at : size == 2 ? (float)*(const int16_t *)(const void *)at : *edgebll_floats(at);
}

void edgebll_mixed_sums(const struct edgebll_products *p, float *to, int32_t step, uint32_t n)
{
    const uint8_t *lanes = p->lanes;
    /* Numbers of the second, third and fourth lane, and the way between their results. */
    int32_t lane[4] = {1, 2, 3, 0};
    lane[3] = step;
    if (p->terms == 0) {
        for (; n != 0; n--, to += step) *to = -0.0f;
        return;
    }
    if (p->terms == 1) {
        /* As in the update of a weight by one sample: a sum of one product is that product, to the bit. */
        const float v = number_at(p->shared, p->shared_size);
        for (; n != 0; n--, lanes += p->across * p->size, to += step) *to = v * number_at(lanes, p->size);
        return;
    }
    for (;;) {
        if (n < 2) lane[0] = 0;
        if (n < 3) lane[1] = 0;
        if (n < 4) lane[2] = 0;
        if (p->size == 1) float_by_int8(p, lanes, to, lane);
        else if (p->size == 2) float_by_int16(p, lanes, to, lane);
        else if (p->shared_size == 1) int8_by_float(p, lanes, to, lane);
        else int16_by_float(p, lanes, to, lane);
        if (n <= 4) return;
        lanes += 4 * p->across * p->size, to += 4 * step, n -= 4;
    }
}

#endif
