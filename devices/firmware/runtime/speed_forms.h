/* What the runtime does in quicker ways beside the plain one, at the cost of flash: the small profile leaves it out, and has the same bits. */
#ifndef EDGEBLL_SPEED_FORMS_H
#define EDGEBLL_SPEED_FORMS_H

#include "plan_words.h"

/* An update of weights by gradient descent: slots of the weights, of their momentum, and of the scales, 0 for those that are not there. */
struct edgebll_update {
    int w, m, rate, decay, momentum, nesterov;
};

#ifdef EDGEBLL_SPARSE
enum { EDGEBLL_DENSE, EDGEBLL_SILENT, EDGEBLL_LOOK };
#define edgebll_set_sparse(products, what) ((products)->sparse = (what))
/* Whether at least half of the shared factors are zero, and n lanes enough to make use of it. */
int edgebll_is_sparse(const struct edgebll_products *products, uint32_t n);
/* edgebll_sums without the terms whose shared factor is zero, to the same bits where the others are finite. */
void edgebll_sparse_sums(const struct edgebll_products *products, float *to, int32_t step, uint32_t n);
#else
#define edgebll_set_sparse(products, what) ((void)0)
#define edgebll_is_sparse(products, n) 0
#define edgebll_sparse_sums edgebll_sums
#endif

#if defined(EDGEBLL_SPARSE) && !defined(EDGEBLL_SMALL)
/* The updates of a kernel that was started, if all its rows have the same lanes, skipping what is zero in them; else 0, and nothing was done. */
int edgebll_sparse_update(struct edgebll_work *work, struct edgebll_products *products, int shared, const struct edgebll_update *update);
#else
#define edgebll_sparse_update(work, products, shared, update) 0
#endif

#ifndef EDGEBLL_SMALL

/* Whether there are vector instructions for floats that the fast profile uses. */
#if defined(EDGEBLL_FAST) && defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 2)
#define EDGEBLL_VECTORS
/* Sums of `groups` groups of eight lanes, or of four, that are neighbours, or of four lanes whose terms are neighbours. */
void edgebll_vector_eights(const struct edgebll_products *p, const float *lanes, float *to, int32_t step, uint32_t groups);
void edgebll_vector_fours(const struct edgebll_products *p, const float *lanes, float *to, int32_t step, uint32_t groups);
void edgebll_vector_lines(const struct edgebll_products *p, const float *lanes, float *to, int32_t step, uint32_t groups);
#endif

/* Does one instruction, but for LOAD and STORE, over n elements. */
void edgebll_apply(const struct instruction *instruction, const struct edgebll_lane *lanes, uint32_t n);
/* Most elements that a program can treat at once: a strip, but any number where it needs no register. */
uint32_t edgebll_strip(const struct edgebll_work *work);
/* The operand that a program of the one instruction `operand = register 0` writes; else -1. */
int edgebll_stored(const struct edgebll_kernel *kernel);
/* Whether the kernel's program is an update, by the gradient in register 0. */
int edgebll_is_update(const struct edgebll_work *work, struct edgebll_update *update);
/* Updates n elements from number `from` of the row on by the gradients scale * g[0], scale * g[1], ... */
void edgebll_do_update(struct edgebll_work *work, const struct edgebll_update *update, float scale, const float *g, uint32_t from, uint32_t n);
/* About how many instructions a term takes in n sums whose lanes are `across` elements from one another. */
uint32_t edgebll_cost(uint32_t n, int32_t across);
/* Whether the sums of lanes `across` elements from one another, of `count` terms along three loops, share rows `row` elements apart. */
int edgebll_can_slide(const int32_t *count, int32_t across, int32_t row);
/* The sums of n such lanes. */
void edgebll_slide(const struct edgebll_products *products, float *to, int32_t step, uint32_t n);

#else

#define edgebll_apply edgebll_each
static inline uint32_t edgebll_strip(const struct edgebll_work *work)
{
    (void)work;
    return EDGEBLL_STRIP;
}
static inline int edgebll_stored(const struct edgebll_kernel *kernel)
{
    (void)kernel;
    return -1;
}
static inline int edgebll_is_update(const struct edgebll_work *work, struct edgebll_update *update)
{
    (void)work, (void)update;
    return 0;
}
static inline void edgebll_do_update(struct edgebll_work *work, const struct edgebll_update *update, float scale, const float *g, uint32_t from,
                                     uint32_t n)
{
    (void)work, (void)update, (void)scale, (void)g, (void)from, (void)n;
}
static inline uint32_t edgebll_cost(uint32_t n, int32_t across)
{
    (void)across;
    return n;
}
static inline int edgebll_can_slide(const int32_t *count, int32_t across, int32_t row)
{
    (void)count, (void)across, (void)row;
    return 0;
}

#endif
#endif
