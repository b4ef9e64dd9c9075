/* Sums of products of int8, and the rounding to int8. Integers: no order of a sum is another. */
#define EDGEBLL_OFTEN
#include "sum_loops.h"

/* Built without int8 this file would be empty, which C has no word for. */
typedef int edgebll_int8_is_here;

#ifndef EDGEBLL_WITHOUT_INT8

int32_t edgebll_to_int8(float x)
{
    if (x != x) return 0;
    if (x <= -128.0f) return -128;
    if (x >= 127.0f) return 127;
    /* Beside 1.5 * 2^23 floats are whole numbers, so this addition rounds. */
    return (int32_t)((x + 12582912.0f) - 12582912.0f);
}

/* Four lanes; `across` leads from one to the next, 0 to the same one. */
APART void four(const struct edgebll_products *p, const int8_t *b0, int32_t across, float *to, int32_t step)
{
    const int8_t *a = (const int8_t *)p->shared, *b1 = b0 + across, *b2 = b1 + across, *b3 = b2 + across;
    const int32_t way_a = p->loops.way_a, way_b = p->loops.way_b;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, v;
    ALL_TERMS((v = *a, s0 += v * *b0, s1 += v * *b1, s2 += v * *b2, s3 += v * *b3, MOVE_FIVE(way_a, way_b)), MOVE_FIVE(skip_a, skip_b));
    to[0] = (float)s0, to[step] = (float)s1, to[2 * step] = (float)s2, to[3 * step] = (float)s3;
}

void edgebll_int8_sums(const struct edgebll_products *p, float *to, int32_t step, uint32_t n)
{
    const int8_t *lanes = (const int8_t *)p->lanes;
    if (p->terms == 0) {
        for (; n != 0; n--, to += step) *to = 0.0f;
        return;
    }
    for (; n != 0 && n < 4; n--, lanes += p->across, to += step) four(p, lanes, 0, to, 0);
    while (n != 0) {
        /* As in edgebll_sums, the last lanes are summed twice where they do not fill a group. */
        const int32_t back = n < 4 ? (int32_t)(4 - n) : 0;
        lanes -= back * p->across, to -= back * step, n += (uint32_t)back;
        four(p, lanes, p->across, to, step);
        lanes += 4 * p->across, to += 4 * step, n -= 4;
    }
}

#endif
