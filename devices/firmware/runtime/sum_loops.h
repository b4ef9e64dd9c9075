/* The loops over the terms of sums of products, for the files that sum. */
#ifndef EDGEBLL_SUM_LOOPS_H
#define EDGEBLL_SUM_LOOPS_H

#include "plan_words.h"

#if defined(__GNUC__)
#define APART static __attribute__((noinline)) /* put into one function they would not find enough registers */
#else
#define APART static
#endif

/* Runs through all terms of the products `p`; `term` takes one and moves on, `skip` moves by skip_a and skip_b elements. */
#define ALL_TERMS(term, skip)                                                                       \
    do {                                                                                            \
        int32_t outer = p->loops.count[0];                                                          \
        do {                                                                                        \
            int32_t middle = p->loops.count[1];                                                     \
            do {                                                                                    \
                int32_t inner = p->loops.count[2];                                                  \
                do {                                                                                \
                    term;                                                                           \
                } while (--inner);                                                                  \
                {                                                                                   \
                    const int32_t skip_a = p->loops.skip_a[1], skip_b = p->loops.skip_b[1];         \
                    skip;                                                                           \
                }                                                                                   \
            } while (--middle);                                                                     \
            {                                                                                       \
                const int32_t skip_a = p->loops.skip_a[0], skip_b = p->loops.skip_b[0];             \
                skip;                                                                               \
            }                                                                                       \
        } while (--outer);                                                                          \
    } while (0)
#define MOVE_FIVE(by_a, by_b) (a += (by_a), b0 += (by_b), b1 += (by_b), b2 += (by_b), b3 += (by_b))
#define MOVE_TWO(by_a, by_b) (a += (by_a), b += (by_b))

#endif
