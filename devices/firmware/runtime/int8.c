/* Sums of products of int8, and the rounding to int8 and int16. Integers: no order of a sum is another. */
#define EDGEBLL_OFTEN
#include <string.h>

#include "sum_loops.h"

/* Built without int8 this file would be empty, which C has no word for. */
typedef int edgebll_int8_is_here;

#ifndef EDGEBLL_WITHOUT_INT8

/* The bits of a float's whole number between -top - 1 and top: beside 1.5 * 2^23 floats are whole numbers, so that an addition rounds, and its
 * lowest bits are the number's. */
static inline uint32_t whole_bits(float x, float top)
{
    const float low = x < -1.0f - top ? -1.0f - top : x, sum = (low > top ? top : low) + 12582912.0f;
    uint32_t bits;
    memcpy(&bits, &sum, sizeof bits);
    return x == x ? bits : 0;
}

float edgebll_to_int8(float x)
{
    return (float)((uint8_t)whole_bits(x, 127.0f) ^ 128) - 128.0f;
}

void edgebll_load_short(const struct edgebll_lane *d, const struct edgebll_lane *a, uint32_t where, uint32_t n)
{
    float *to = (float *)(void *)d->at;
    const int8_t *small = (const int8_t *)a->at;
    const int16_t *at = (const int16_t *)(const void *)a->at;
    const int32_t way = a->step, step = d->step;
    if (edgebll_is_int8(where)) {
        for (; n != 0; n--, to += step, small += way) *to = (float)*small;
    } else {
        for (; n != 0; n--, to += step, at += way) *to = (float)*at;
    }
}

void edgebll_store_rounded(const struct edgebll_lane *d, uint32_t where, const struct edgebll_lane *a, uint32_t n)
{
    const float *at = (const float *)(const void *)a->at;
    uint8_t *to = d->at;
    if (edgebll_is_int8(where)) {
        for (; n != 0; n--, at += a->step, to += d->step) *to = (uint8_t)whole_bits(*at, 127.0f);
    } else {
        for (; n != 0; n--, at += a->step, to += 2 * d->step) {
            const uint16_t half = (uint16_t)whole_bits(*at, 32767.0f);
            memcpy(to, &half, 2);
        }
    }
}

APART float one(const struct edgebll_products *p, const int8_t *b)
{
    const int8_t *a = (const int8_t *)p->shared;
    const int32_t way_a = p->loops.way_a, way_b = p->loops.way_b;
    int32_t sum = 0;
    ALL_TERMS((sum += *a * *b, MOVE_TWO(way_a, way_b)), MOVE_TWO(skip_a, skip_b));
    return (float)sum;
}

/* Four lanes; `across` leads from one to the next. */
APART void four_anywhere(const struct edgebll_products *p, const int8_t *b0, int32_t across, float *to, int32_t step)
{
    const int8_t *a = (const int8_t *)p->shared, *b1 = b0 + across, *b2 = b1 + across, *b3 = b2 + across;
    const int32_t way_a = p->loops.way_a, way_b = p->loops.way_b;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, v;
    ALL_TERMS((v = *a, s0 += v * *b0, s1 += v * *b1, s2 += v * *b2, s3 += v * *b3, MOVE_FIVE(way_a, way_b)), MOVE_FIVE(skip_a, skip_b));
    to[0] = (float)s0, to[step] = (float)s1, to[2 * step] = (float)s2, to[3 * step] = (float)s3;
}

/* Four lanes that are neighbours. */
APART void four_neighbours(const struct edgebll_products *p, const int8_t *b, float *to, int32_t step)
{
    const int8_t *a = (const int8_t *)p->shared;
    const int32_t way_a = p->loops.way_a, way_b = p->loops.way_b;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, v;
    ALL_TERMS((v = *a, s0 += v * b[0], s1 += v * b[1], s2 += v * b[2], s3 += v * b[3], MOVE_TWO(way_a, way_b)), MOVE_TWO(skip_a, skip_b));
    to[0] = (float)s0, to[step] = (float)s1, to[2 * step] = (float)s2, to[3 * step] = (float)s3;
}

#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
/* Four products with four others, added to a sum: elements 0 and 2 of a word, then 1 and 3, two at a time. */
static inline int32_t four_products(int32_t sum, uint32_t even, uint32_t odd, const int8_t *b)
{
    uint32_t word, half;
    memcpy(&word, b, 4);
    __asm__("sxtb16 %0, %1" : "=r"(half) : "r"(word));
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(even), "r"(half));
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(half) : "r"(word));
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(odd), "r"(half));
    return sum;
}

/* Four lanes of which all terms lie side by side, in both factors. */
APART void four_in_line(const struct edgebll_products *p, const int8_t *b0, int32_t across, float *to, int32_t step)
{
    const int8_t *a = (const int8_t *)p->shared, *b1 = b0 + across, *b2 = b1 + across, *b3 = b2 + across;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, left = p->terms;
    for (; left >= 4; left -= 4, a += 4, b0 += 4, b1 += 4, b2 += 4, b3 += 4) {
        uint32_t word, even, odd;
        memcpy(&word, a, 4);
        __asm__("sxtb16 %0, %1" : "=r"(even) : "r"(word));
        __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(word));
        s0 = four_products(s0, even, odd, b0), s1 = four_products(s1, even, odd, b1);
        s2 = four_products(s2, even, odd, b2), s3 = four_products(s3, even, odd, b3);
    }
    for (; left != 0; left--, a++) s0 += *a * *b0++, s1 += *a * *b1++, s2 += *a * *b2++, s3 += *a * *b3++;
    to[0] = (float)s0, to[step] = (float)s1, to[2 * step] = (float)s2, to[3 * step] = (float)s3;
}
#else
#define four_in_line four_anywhere
#endif

static void int8_sums(const struct edgebll_products *p, float *to, int32_t step, uint32_t n)
{
    const int8_t *lanes = (const int8_t *)p->lanes;
    const int in_line = p->loops.way_a == 1 && p->loops.way_b == 1 && p->loops.count[2] == p->terms;
    if (p->terms == 0) {
        for (; n != 0; n--, to += step) *to = 0.0f;
        return;
    }
    for (; n != 0 && n < 4; n--, lanes += p->across, to += step) *to = one(p, lanes);
    while (n != 0) {
        /* As in edgebll_sums, the last lanes are summed twice where they do not fill a group. */
        const int32_t back = n < 4 ? (int32_t)(4 - n) : 0;
        lanes -= back * p->across, to -= back * step, n += (uint32_t)back;
        if (in_line) four_in_line(p, lanes, p->across, to, step);
        else if (p->across == 1) four_neighbours(p, lanes, to, step);
        else four_anywhere(p, lanes, p->across, to, step);
        lanes += 4 * p->across, to += 4 * step, n -= 4;
    }
}

void edgebll_integer_sums(const struct edgebll_products *p, float *to, int32_t step, uint32_t n)
{
    if (p->size == 1 && p->shared_size == 1) int8_sums(p, to, step, n);
    else edgebll_mixed_sums(p, to, step, n);
}

#endif
