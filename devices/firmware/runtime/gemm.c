/* Sums of products: matrix products of every layout, updates by them, and what convolutions make of themselves. */
#include <stddef.h>

#include "plan_words.h"

/* Gives n sums in register 0 to the program, or to the update that it is, for elements from number `from` of the row on. */
static void finish(struct edgebll_work *work, const struct edgebll_update *update, uint32_t from, uint32_t n)
{
    if (update) {
        edgebll_do_update(work, update, 1.0f, work->registers[0], from, n);
        return;
    }
    edgebll_lanes(work, from);
    edgebll_program(work, 0, work->kernel.instructions, n);
}

static void sums(const struct edgebll_products *products, int sparse, float *to, int32_t step, uint32_t n)
{
    if (sparse) edgebll_sparse_sums(products, to, step, n);
    else edgebll_sums(products, to, step, n);
}

/* A row of sums of any length, a strip at a time, each strip given to the program. */
static void row_of_sums(struct edgebll_work *work, struct edgebll_products *products, const struct edgebll_update *update)
{
    const uint32_t extent = work->kernel.extent[work->along];
    const int sparse = edgebll_is_sparse(products, extent);
    uint32_t at, n;
    for (at = 0; at < extent; at += n) {
        n = extent - at < EDGEBLL_STRIP ? extent - at : EDGEBLL_STRIP;
        sums(products, sparse, work->registers[0], 1, n);
        products->lanes += (int32_t)n * products->across * products->size;
        finish(work, update, at, n);
        edgebll_tick(work, n * (uint32_t)products->terms);
    }
}

static int32_t size_of_factor(const struct edgebll_kernel *kernel, int number)
{
#ifdef EDGEBLL_WITHOUT_INT8
    (void)kernel, (void)number;
    return 4;
#else
    return (int32_t)edgebll_size_of(kernel->operand[number].where);
#endif
}

void edgebll_lines(struct edgebll_work *work, struct edgebll_products *products, int shared, const struct edgebll_update *update)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    const int along = work->along, stored = edgebll_stored(kernel), lanes = EDGEBLL_FACTOR_A + EDGEBLL_FACTOR_B - shared;
    const uint32_t extent = kernel->extent[along];
    int one_pass;
    products->size = size_of_factor(kernel, lanes);
    products->shared_size = size_of_factor(kernel, shared);
    one_pass = update && products->terms == 1 && products->across == 1 && !edgebll_has_integers(products);
    if (update && !one_pass && edgebll_sparse_update(work, products, shared, update)) return;
    do {
        products->shared = work->row[shared];
        products->lanes = work->row[lanes];
        if (one_pass) edgebll_do_update(work, update, *edgebll_floats(products->shared), edgebll_floats(products->lanes), 0, extent);
        else if (stored >= 0) {
            float *to = (float *)(void *)work->row[stored];
            sums(products, edgebll_is_sparse(products, extent), to, kernel->operand[stored].stride[along], extent);
        }
        else {
            row_of_sums(work, products, update);
            continue;
        }
        edgebll_tick(work, extent * (uint32_t)products->terms);
    } while (edgebll_next(work, 0, kernel->rank));
}

void edgebll_gemm(struct edgebll_work *work)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    struct edgebll_products products;
    struct edgebll_update update;
    products.count[0] = products.count[1] = 1;
    products.count[2] = (int32_t)kernel->special[0];
    products.shared_way[2] = kernel->operand[EDGEBLL_FACTOR_A].stride[kernel->rank];
    products.lanes_way[2] = kernel->operand[EDGEBLL_FACTOR_B].stride[kernel->rank];
    products.across = kernel->operand[EDGEBLL_FACTOR_B].stride[work->along];
    edgebll_set_loops(&products);
    edgebll_set_sparse(&products, EDGEBLL_LOOK);
    edgebll_lines(work, &products, EDGEBLL_FACTOR_A, edgebll_is_update(work, &update) ? &update : NULL);
}
