/* The loops over the terms of sums of products, for the files that sum. */
#ifndef EDGEBLL_SUM_LOOPS_H
#define EDGEBLL_SUM_LOOPS_H

#include "plan_words.h"

#if defined(__GNUC__)
#define APART __attribute__((noinline)) /* put into one function they would not find enough registers */
#else
#define APART
#endif

/* Runs through all terms; `term` takes one and moves on, `skip` moves by a number of elements of a and of b. */
#define ALL_TERMS(term, skip)                         \
    do {                                              \
        int32_t outer = p->loops.count[0];                 \
        do {                                          \
            int32_t middle = p->loops.count[1];            \
            do {                                      \
                int32_t inner = p->loops.count[2];         \
                do {                                  \
                    term;                             \
                } while (--inner);                    \
                skip(p->loops.skip_a[1], p->loops.skip_b[1]);     \
            } while (--middle);                       \
            skip(p->loops.skip_a[0], p->loops.skip_b[0]);         \
        } while (--outer);                            \
    } while (0)
#define SKIP_FIVE(by_a, by_b) a += (by_a), b0 += (by_b), b1 += (by_b), b2 += (by_b), b3 += (by_b)
#define SKIP_TWO(by_a, by_b) a += (by_a), b0 += (by_b)

#endif
