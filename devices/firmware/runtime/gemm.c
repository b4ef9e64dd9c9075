/* Sums of products over one loop: matrix products of every layout, and updates by them. */
#define EDGEBLL_SELDOM
#include "plan_words.h"

/* `w = w - a * b` along a row that lies in one piece, the update of a weight by one sample: no strip of sums in between. */
static void rank_one(float *w, float a, const float *b, uint32_t n)
{
    for (; n >= 4; n -= 4, w += 4, b += 4) {
        const float w0 = w[0] - a * b[0], w1 = w[1] - a * b[1], w2 = w[2] - a * b[2], w3 = w[3] - a * b[3];
        w[0] = w0, w[1] = w1, w[2] = w2, w[3] = w3;
    }
    for (; n != 0; n--, w++, b++) *w = *w - a * *b;
}

/* A row of sums of any length, a strip at a time, each strip given to the program. */
static void row_of_sums(struct edgebll_work *work, struct edgebll_products *products, uint32_t extent)
{
    uint32_t at, n;
    for (at = 0; at < extent; at += n) {
        n = extent - at < EDGEBLL_STRIP ? extent - at : EDGEBLL_STRIP;
        edgebll_sums(products, work->registers[0], 1, n);
        products->lanes += (int32_t)n * products->across;
        edgebll_lanes(work, at);
        edgebll_program(work, 0, work->kernel.instructions, n);
        edgebll_tick(work, n * (uint32_t)products->count[2]);
    }
}

void edgebll_gemm(struct edgebll_work *work)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    const int along = work->along, stored = edgebll_only(kernel, MOVE), updated = edgebll_only(kernel, SUB);
    const uint32_t extent = kernel->extent[along], k = kernel->special[0];
    struct edgebll_products products = {0};
    int one_pass;
    products.count[0] = products.count[1] = 1;
    products.count[2] = (int32_t)k;
    products.shared_way[2] = kernel->operand[EDGEBLL_FACTOR_A].stride[kernel->rank];
    products.lanes_way[2] = kernel->operand[EDGEBLL_FACTOR_B].stride[kernel->rank];
    products.across = kernel->operand[EDGEBLL_FACTOR_B].stride[along];
    edgebll_set_loops(&products);
    one_pass = k == 1 && products.across == 1 && updated >= 0 && kernel->operand[updated].stride[along] == 1;
    do {
        products.shared = (const float *)(const void *)work->row[EDGEBLL_FACTOR_A];
        products.lanes = (const float *)(const void *)work->row[EDGEBLL_FACTOR_B];
        if (one_pass) rank_one((float *)(void *)work->row[updated], *products.shared, products.lanes, extent);
        else if (stored >= 0) edgebll_sums(&products, (float *)(void *)work->row[stored], kernel->operand[stored].stride[along], extent);
        else {
            row_of_sums(work, &products, extent);
            continue;
        }
        edgebll_tick(work, extent * k);
    } while (edgebll_next(work, 0, along));
}
