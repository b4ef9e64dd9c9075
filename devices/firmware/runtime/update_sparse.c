/* Updates of weights by sums over samples and time steps of a gradient times an input that is often zero, as spikes are: what fires is looked
 * for once for all rows of weights, and only that is multiplied. Compiled with EDGEBLL_SPARSE. */
#define EDGEBLL_OFTEN
#include <stddef.h>
#include <string.h>

#include "plan_words.h"

/* Built without this file would be empty, which C has no word for. */
typedef int edgebll_sparse_update_is_here;

#if defined(EDGEBLL_SPARSE) && !defined(EDGEBLL_SMALL)

/* Inputs that may fire in a strip; their numbers lie in registers that updates do not need. */
enum { LANE_BITS = 5, MOST = (EDGEBLL_REGISTERS - 1) * EDGEBLL_STRIP / 2, FEWEST_LANES = 8 };
struct fired {
    uint16_t place[MOST]; /* of each: number of the term << LANE_BITS | lane */
    float *number;
    int32_t count;
};
typedef char edgebll_a_lane_fits[EDGEBLL_STRIP <= 1 << LANE_BITS ? 1 : -1];

static inline uint32_t bits_of(const float *x)
{
    uint32_t bits;
    memcpy(&bits, x, 4);
    return bits;
}

/* Finds what fires in n lanes, term by term. 0 where that is too much to gain anything, or where a lane is negative, be it -0.0. */
static int find(struct fired *fired, const struct edgebll_products *p, uint32_t n)
{
    const float *b = edgebll_floats(p->lanes);
    int32_t term, room = (int32_t)n / 2;
    uint32_t i;
    fired->count = 0;
    for (term = 0; term < p->terms; term++, b += p->loops.way_b, room += (int32_t)n / 4) {
        for (i = 0; i < n; i++) {
            uint32_t bits;
            while (n - i > 4 && (bits_of(b + i) | bits_of(b + i + 1) | bits_of(b + i + 2) | bits_of(b + i + 3)) == 0) i += 4;
            bits = bits_of(b + i);
            if (bits == 0) continue;
            if (bits >> 31 || fired->count == MOST || fired->count >= room) return 0;
            fired->place[fired->count] = (uint16_t)((uint32_t)term << LANE_BITS | i);
            fired->number[fired->count++] = b[i];
        }
    }
    return 1;
}

/* The sums of n lanes. Of positive inputs each product has the gradient's sign, silent or not: so all that is zero in the end is -0.0 where all
 * gradients of the row have that sign, and 0.0 otherwise. */
static void add_fired(const struct fired *fired, const struct edgebll_products *p, float *to, uint32_t n)
{
    const float *a = edgebll_floats(p->shared);
    const int32_t way_a = p->loops.way_a;
    uint32_t negative = 1, i;
    int32_t e;
    for (e = 0; e < p->terms && negative; e++) negative = bits_of(a + e * way_a) >> 31;
    for (i = 0; i < n; i++) to[i] = negative ? -0.0f : 0.0f;
    for (e = 0; e < fired->count; e++) {
        const uint32_t place = fired->place[e];
        float *sum = to + (place & ((1u << LANE_BITS) - 1u));
        *sum = *sum + a[(int32_t)(place >> LANE_BITS) * way_a] * fired->number[e];
    }
}

/* Whether all rows have the same lanes, which are neighbours, and their terms one loop. */
static int shares_lanes(const struct edgebll_work *work, const struct edgebll_products *p, int lanes)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    int loop;
    for (loop = 0; loop < kernel->rank; loop++) {
        if (loop != work->along && kernel->extent[loop] > 1 && kernel->operand[lanes].stride[loop] != 0) return 0;
    }
    return p->across == 1 && p->count[0] * p->count[1] == 1 && p->terms > 1 && p->terms < 0x10000 >> LANE_BITS;
}

/* One strip of all rows. */
static void update_strip(struct edgebll_work *work, struct edgebll_products *p, int shared, const struct edgebll_update *update,
                         const struct fired *fired, uint32_t at, uint32_t n)
{
    float *sums = work->registers[0];
    edgebll_start(work, work->along);
    do {
        p->shared = work->row[shared];
        if (fired) add_fired(fired, p, sums, n);
        else edgebll_sums(p, sums, 1, n);
        edgebll_do_update(work, update, 1.0f, sums, at, n);
        edgebll_tick(work, n * (uint32_t)p->terms);
    } while (edgebll_next(work, 0, work->kernel.rank));
}

int edgebll_sparse_update(struct edgebll_work *work, struct edgebll_products *p, int shared, const struct edgebll_update *update)
{
    const int lanes = EDGEBLL_FACTOR_A + EDGEBLL_FACTOR_B - shared;
    const uint32_t extent = work->kernel.extent[work->along];
    const uint8_t *first = work->row[lanes];
    struct fired fired;
    uint32_t at, n;
    if (edgebll_has_integers(p) || !shares_lanes(work, p, lanes)) return 0;
    fired.number = work->registers[1];
    for (at = 0; at < extent; at += n) {
        const uint32_t most = extent - at < EDGEBLL_STRIP ? extent - at : EDGEBLL_STRIP;
        int found;
        p->lanes = first + 4u * at;
        n = most;
        while (!(found = find(&fired, p, n)) && fired.count == MOST && n >= 2 * FEWEST_LANES) n /= 2;
        if (!found) n = most;
        update_strip(work, p, shared, update, found ? &fired : NULL, at, n);
    }
    return 1;
}

#endif
