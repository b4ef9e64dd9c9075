/* Sums of products, several lanes at a time: they share one factor, and each keeps the order of its own sum. Nothing else takes so long. */
#define EDGEBLL_OFTEN
#include "sum_loops.h"

#ifndef EDGEBLL_SMALL

#define TILE const struct edgebll_products *p, const float *lanes, float *to, int32_t step, uint32_t groups
#define EACH_GROUP(size) for (; groups != 0; groups--, lanes += (size) * p->across, to += (size) * step)

/* Four lanes whose factors lie side by side in the innermost loop: each is fetched and moved on in one instruction. */
APART void four_in_line(TILE)
{
    EACH_GROUP(4) {
        const float *a = edgebll_floats(p->shared), *b0 = lanes, *b1 = b0 + p->across, *b2 = b1 + p->across, *b3 = b2 + p->across;
        float s0 = -0.0f, s1 = -0.0f, s2 = -0.0f, s3 = -0.0f, v;
        ALL_TERMS((v = *a++, s0 = s0 + v * *b0++, s1 = s1 + v * *b1++, s2 = s2 + v * *b2++, s3 = s3 + v * *b3++), MOVE_FIVE(skip_a, skip_b));
        to[0] = s0, to[step] = s1, to[2 * step] = s2, to[3 * step] = s3;
    }
}

APART void four_anywhere(TILE)
{
    const int32_t way_a = p->loops.way_a, way_b = p->loops.way_b;
    EACH_GROUP(4) {
        const float *a = edgebll_floats(p->shared), *b0 = lanes, *b1 = b0 + p->across, *b2 = b1 + p->across, *b3 = b2 + p->across;
        float s0 = -0.0f, s1 = -0.0f, s2 = -0.0f, s3 = -0.0f, v;
        ALL_TERMS((v = *a, s0 = s0 + v * *b0, s1 = s1 + v * *b1, s2 = s2 + v * *b2, s3 = s3 + v * *b3, MOVE_FIVE(way_a, way_b)),
                      MOVE_FIVE(skip_a, skip_b));
        to[0] = s0, to[step] = s1, to[2 * step] = s2, to[3 * step] = s3;
    }
}

APART void four_neighbours(TILE)
{
    const int32_t way_a = p->loops.way_a, way_b = p->loops.way_b;
    EACH_GROUP(4) {
        const float *a = edgebll_floats(p->shared), *b = lanes;
        float s0 = -0.0f, s1 = -0.0f, s2 = -0.0f, s3 = -0.0f, v;
        ALL_TERMS((v = *a, s0 = s0 + v * b[0], s1 = s1 + v * b[1], s2 = s2 + v * b[2], s3 = s3 + v * b[3], MOVE_TWO(way_a, way_b)),
                      MOVE_TWO(skip_a, skip_b));
        to[0] = s0, to[step] = s1, to[2 * step] = s2, to[3 * step] = s3;
    }
}

/* Two fours that share what they share: the second begins `apart` lanes behind the first, which may be fewer than four. */
APART void eight_neighbours(TILE, int32_t apart)
{
    const int32_t way_a = p->loops.way_a, way_b = p->loops.way_b;
    EACH_GROUP(8) {
        const float *a = edgebll_floats(p->shared), *b = lanes, *c;
        float *second = to + apart * step;
        float s0 = -0.0f, s1 = -0.0f, s2 = -0.0f, s3 = -0.0f, s4 = -0.0f, s5 = -0.0f, s6 = -0.0f, s7 = -0.0f, v;
        ALL_TERMS((v = *a, c = b + apart, s0 = s0 + v * b[0], s1 = s1 + v * b[1], s2 = s2 + v * b[2], s3 = s3 + v * b[3], s4 = s4 + v * c[0],
                       s5 = s5 + v * c[1], s6 = s6 + v * c[2], s7 = s7 + v * c[3], MOVE_TWO(way_a, way_b)),
                      MOVE_TWO(skip_a, skip_b));
        to[0] = s0, to[step] = s1, to[2 * step] = s2, to[3 * step] = s3;
        second[0] = s4, second[step] = s5, second[2 * step] = s6, second[3 * step] = s7;
    }
}

/* Groups of four or eight lanes, or one of up to eight neighbours. */
static void tile(const struct edgebll_products *p, uint32_t size, const float *lanes, float *to, int32_t step, uint32_t groups)
{
#ifdef EDGEBLL_VECTORS
    if (size == 8) edgebll_vector_eights(p, lanes, to, step, groups);
    else if (p->across == 1) {
        edgebll_vector_fours(p, lanes, to, step, groups);
        if (size > 4) edgebll_vector_fours(p, lanes + (size - 4), to + (int32_t)(size - 4) * step, step, groups);
    }
    else if (p->loops.way_a == 1 && p->loops.way_b == 1 && p->loops.count[2] > 4) edgebll_vector_lines(p, lanes, to, step, groups);
    else
#endif
    if (size >= 5) eight_neighbours(p, lanes, to, step, groups, (int32_t)size - 4);
    else if (p->across == 1) four_neighbours(p, lanes, to, step, groups);
    else if (p->loops.way_a == 1 && p->loops.way_b == 1) four_in_line(p, lanes, to, step, groups);
    else four_anywhere(p, lanes, to, step, groups);
}

/* A sum of one product is the product; a sum of none is the zero that sums begin with. */
static void no_sums(const struct edgebll_products *p, float *to, int32_t step, uint32_t n)
{
    const float shared = p->terms ? *edgebll_floats(p->shared) : 0.0f, *lane = edgebll_floats(p->lanes);
    for (; n != 0; n--, lane += p->across, to += step) *to = p->terms ? shared * *lane : -0.0f;
}

uint32_t edgebll_cost(uint32_t n, int32_t across)
{
    const uint32_t fours = (n + 3) / 4 * 4;
#ifdef EDGEBLL_VECTORS
    if (across == 1 && n >= 4) return 2 * fours;
#endif
    return n < 4 ? 9 * n : across == 1 ? 4 * fours : 5 * fours;
}

void edgebll_sums(const struct edgebll_products *p, float *to, int32_t step, uint32_t n)
{
    const float *lanes = edgebll_floats(p->lanes);
    uint32_t size = p->across == 1 ? 8 : 4, left;
    if (edgebll_has_integers(p)) edgebll_integer_sums(p, to, step, n);
    else if (p->terms <= 1) no_sums(p, to, step, n);
    else if (edgebll_can_slide(p->count, p->across, p->lanes_way[1])) edgebll_slide(p, to, step, n);
    else if (n < 4) {
        for (; n != 0; n--, lanes += p->across, to += step) *to = edgebll_sum(p, lanes);
    } else {
        tile(p, size, lanes, to, step, n / size);
        left = n % size;
        if (left == 0) return;
        /* Some lanes are summed twice where the last do not fill a group: that is faster than one by one, and gives the same bits. */
        if (left < 4) left = 4;
        n -= left;
        tile(p, left, lanes + (int32_t)n * p->across, to + (int32_t)n * step, step, 1);
    }
}

#endif
