/* Sums of three rows of two or three products whose lanes lie a row from one another, as in depthwise convolutions down a column: each row
 * of factors is fetched once, and takes part in three sums. */
#define EDGEBLL_OFTEN
#include "plan_words.h"

#ifndef EDGEBLL_SMALL

int edgebll_can_slide(const int32_t *count, int32_t across, int32_t row)
{
    return count[0] == 1 && count[1] == 3 && (count[2] == 3 || count[2] == 2) && across == row;
}

/* `THIRD` keeps the last of three columns, or leaves it out. */
#define SUM(begin, number) (begin) + k##number##0 * x0 + k##number##1 * x1 THIRD(+k##number##2 * x2)
#define FETCH x0 = x[0], x1 = x[next] THIRD(, x2 = x[2 * next]), x += across
#define SLIDE                                                                                                    \
    const float *k = edgebll_floats(p->shared), *x = edgebll_floats(p->lanes);                                                                \
    const int32_t down = p->shared_way[1], right = p->shared_way[2], across = p->across, next = p->lanes_way[2]; \
    const float k00 = k[0], k01 = k[right], k10 = k[down], k11 = k[down + right];                                \
    const float k20 = k[2 * down], k21 = k[2 * down + right];                                                    \
    THIRD(const float k02 = k[2 * right]; const float k12 = k[down + 2 * right]; const float k22 = k[2 * down + 2 * right];) \
    float x0, x1 THIRD(, x2), last, second; /* the sums that want their last row, and their second */            \
    FETCH;                                                                                                       \
    second = SUM(-0.0f, 0);                                                                                      \
    FETCH;                                                                                                       \
    last = SUM(second, 1);                                                                                       \
    second = SUM(-0.0f, 0);                                                                                      \
    for (; n != 0; n--, to += step) {                                                                            \
        FETCH;                                                                                                   \
        *to = SUM(last, 2);                                                                                      \
        last = SUM(second, 1);                                                                                   \
        second = SUM(-0.0f, 0);                                                                                  \
    }
#define THIRD(...) __VA_ARGS__
static void three_columns(const struct edgebll_products *p, float *to, int32_t step, uint32_t n)
{
    SLIDE
}

#undef THIRD
#define THIRD(...)
static void two_columns(const struct edgebll_products *p, float *to, int32_t step, uint32_t n)
{
    SLIDE
}

void edgebll_slide(const struct edgebll_products *p, float *to, int32_t step, uint32_t n)
{
    if (p->count[2] == 3) three_columns(p, to, step, n);
    else two_columns(p, to, step, n);
}

#endif
