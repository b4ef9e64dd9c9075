/* Sums of products over one loop: matrix products of every layout, and updates by them. */
#define EDGEBLL_SELDOM
#include <stddef.h>

#include "plan_words.h"

/* A row of sums of any length, a strip at a time, each strip given to the program. */
static void row_of_sums(struct edgebll_work *work, struct edgebll_products *products, uint32_t extent, const struct edgebll_update *update)
{
    uint32_t at, n;
    for (at = 0; at < extent; at += n) {
        n = extent - at < EDGEBLL_STRIP ? extent - at : EDGEBLL_STRIP;
        edgebll_sums(products, work->registers[0], 1, n);
        products->lanes += (int32_t)n * products->across * products->size;
        edgebll_finish(work, update, at, n);
        edgebll_tick(work, n * (uint32_t)products->count[2]);
    }
}

static const float *floats(const uint8_t *at)
{
    return (const float *)(const void *)at;
}

void edgebll_gemm(struct edgebll_work *work)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    const int along = work->along, stored = edgebll_stored(kernel);
    const uint32_t extent = kernel->extent[along], k = kernel->special[0];
    struct edgebll_products products;
    struct edgebll_update update;
    const int updates = edgebll_is_update(work, &update);
    int one_pass;
    products.count[0] = products.count[1] = 1;
    products.count[2] = (int32_t)k;
    products.shared_way[2] = kernel->operand[EDGEBLL_FACTOR_A].stride[kernel->rank];
    products.lanes_way[2] = kernel->operand[EDGEBLL_FACTOR_B].stride[kernel->rank];
    products.across = kernel->operand[EDGEBLL_FACTOR_B].stride[along];
    products.size = edgebll_is_int8(kernel->operand[EDGEBLL_FACTOR_A].where) ? 1 : 4;
    one_pass = updates && k == 1 && products.across == 1 && products.size == 4;
    edgebll_set_loops(&products);
    do {
        products.shared = work->row[EDGEBLL_FACTOR_A];
        products.lanes = work->row[EDGEBLL_FACTOR_B];
        if (one_pass) edgebll_do_update(work, &update, *floats(products.shared), floats(products.lanes), 0, extent);
        else if (stored >= 0) edgebll_sums(&products, (float *)(void *)work->row[stored], kernel->operand[stored].stride[along], extent);
        else {
            row_of_sums(work, &products, extent, updates ? &update : NULL);
            continue;
        }
        edgebll_tick(work, extent * k);
    } while (edgebll_next(work, 0, along));
}
