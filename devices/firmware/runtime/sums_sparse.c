/* Sums of products of which the shared factor is often zero, as spikes are: only what is not zero is multiplied, and the bits are those of all
 * terms, as long as the other factor is a number. Compiled with EDGEBLL_SPARSE. */
#define EDGEBLL_OFTEN
#include <string.h>

#include "sum_loops.h"

/* Built without this file would be empty, which C has no word for. */
typedef int edgebll_sparse_is_here;

#ifdef EDGEBLL_SPARSE

enum { AT_ONCE = 4 };
/* Terms that are no zeros, in their order. */
struct events {
    float factor[AT_ONCE];
    const float *lane[AT_ONCE];
    int count;
};

/* A float's bits. */
static inline uint32_t bits_of(const float *x)
{
    uint32_t bits;
    memcpy(&bits, x, 4);
    return bits;
}

/* Whether a number is zero, of either sign. */
static inline int is_silent(const float *x)
{
    return bits_of(x) << 1 == 0;
}

/* Whether four are: neither sign is looked at. */
static inline int are_silent(const float *x, int32_t way)
{
    return (bits_of(x) | bits_of(x + way) | bits_of(x + 2 * way) | bits_of(x + 3 * way)) << 1 == 0;
}

/* In ALL_TERMS: passes over zeros, four at a time, but for the last term of the innermost loop. */
#define SKIP_SILENT(move) \
    while (inner > AT_ONCE && are_silent(a, way_a)) { \
        inner -= AT_ONCE; \
        move; \
    }

int edgebll_is_sparse(const struct edgebll_products *p, uint32_t n)
{
    const float *a = edgebll_floats(p->shared);
    const int32_t way_a = p->loops.way_a;
    int32_t room = p->terms / 2; /* so many may be other than zero */
    if (n < AT_ONCE || p->terms < 2 || edgebll_has_integers(p)) return 0;
    if (p->sparse != EDGEBLL_LOOK) return p->sparse;
    ALL_TERMS(SKIP_SILENT(a += AT_ONCE * way_a) if (!is_silent(a) && room-- == 0) return 0; a += way_a, a += skip_a; (void)skip_b);
    return 1;
}

/* Adds four terms to n lanes. */
APART void add_four(const struct events *events, int32_t across, float *to, int32_t step, uint32_t n)
{
    const float a0 = events->factor[0], a1 = events->factor[1], a2 = events->factor[2], a3 = events->factor[3];
    const float *b0 = events->lane[0], *b1 = events->lane[1], *b2 = events->lane[2], *b3 = events->lane[3];
    for (; n != 0; n--, to += step, b0 += across, b1 += across, b2 += across, b3 += across) {
        float sum = *to;
        sum = sum + a0 * *b0;
        sum = sum + a1 * *b1;
        sum = sum + a2 * *b2;
        *to = sum + a3 * *b3;
    }
}

APART void add_one(float a, const float *b, int32_t across, float *to, int32_t step, uint32_t n)
{
    for (; n != 0; n--, to += step, b += across) *to = *to + a * *b;
}

/* What zeros make of a sum that is -0.0 without them: 0.0, unless each of their products is -0.0 as well. */
APART float with_zeros(const struct edgebll_products *p, const float *b)
{
    const float *a = edgebll_floats(p->shared);
    const int32_t way_a = p->loops.way_a, way_b = p->loops.way_b;
    ALL_TERMS(if (is_silent(a) && (bits_of(a) ^ bits_of(b)) >> 31 == 0) return 0.0f; MOVE_TWO(way_a, way_b), MOVE_TWO(skip_a, skip_b));
    return -0.0f;
}

void edgebll_sparse_sums(const struct edgebll_products *p, float *to, int32_t step, uint32_t n)
{
    const float *a = edgebll_floats(p->shared), *b = edgebll_floats(p->lanes);
    const int32_t way_a = p->loops.way_a, way_b = p->loops.way_b, across = p->across;
    struct events events;
    uint32_t i;
    int e;
    for (i = 0; i < n; i++) to[(int32_t)i * step] = -0.0f;
    events.count = 0;
    ALL_TERMS(
        SKIP_SILENT(MOVE_TWO(AT_ONCE * way_a, AT_ONCE * way_b))
        if (!is_silent(a)) {
            events.factor[events.count] = *a;
            events.lane[events.count] = b;
            if (++events.count == AT_ONCE) {
                add_four(&events, across, to, step, n);
                events.count = 0;
            }
        }
        MOVE_TWO(way_a, way_b),
        MOVE_TWO(skip_a, skip_b));
    for (e = 0; e < events.count; e++) add_one(events.factor[e], events.lane[e], across, to, step, n);
    for (b = edgebll_floats(p->lanes); n != 0; n--, b += across, to += step) {
        if (bits_of(to) == 0x80000000u) *to = with_zeros(p, b);
    }
}

#endif
