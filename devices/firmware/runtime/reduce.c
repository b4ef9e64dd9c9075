/* Sums and maxima over loops. */
#include "plan_words.h"

static float first_value(const struct edgebll_kernel *kernel)
{
    static const uint32_t infinity = 0xFF800000u;
    union {
        uint32_t bits;
        float value;
    } low;
    low.bits = infinity;
    return kernel->flags & REDUCE_MAXIMUM ? low.value : -0.0f;
}

/* Runs the prologue and returns where its values are: a prologue that only moves one operand need not run. */
static const struct edgebll_lane *terms(struct edgebll_work *work, uint32_t n)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    if (kernel->special[REDUCE_PROLOGUE] == 1) {
        struct instruction only = edgebll_instruction(kernel, 0);
        if (only.code == MOVE && only.d == 0) return &work->lane[only.a];
    }
    edgebll_program(work, 0, (int)kernel->special[REDUCE_PROLOGUE], n);
    return &work->lane[0];
}

static float fold(const struct edgebll_kernel *kernel, float sum, const struct edgebll_lane *lane, uint32_t n)
{
    const float *at = (const float *)(const void *)lane->at;
    if (kernel->flags & REDUCE_MAXIMUM) {
        for (; n != 0; n--, at += lane->step) sum = sum < *at ? *at : sum;
    } else {
        for (; n != 0; n--, at += lane->step) sum = sum + *at;
    }
    return sum;
}

/* The last loop is reduced: one sum at a time. */
static void reduce_along(struct edgebll_work *work, uint32_t *index)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    int along = kernel->rank - 1, kept = (int)kernel->special[REDUCE_KEPT];
    float sum = first_value(kernel);
    uint32_t left, n;
    do {
        edgebll_point(work, index, along);
        for (left = kernel->extent[along]; left != 0; left -= n) {
            n = left < EDGEBLL_STRIP ? left : EDGEBLL_STRIP;
            sum = fold(kernel, sum, terms(work, n), n);
            edgebll_tick(work, n * kernel->instructions);
            if (left > n) edgebll_advance(work, n);
        }
    } while (edgebll_next(index, kernel->extent, kept, along));
    edgebll_point(work, index, along);
    work->registers[0][0] = sum;
    edgebll_program(work, (int)kernel->special[REDUCE_PROLOGUE], kernel->instructions, 1);
}

/* The last loop is kept: a strip of sums at a time. */
static void reduce_across(struct edgebll_work *work, uint32_t *index)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    int along = kernel->rank - 1, kept = (int)kernel->special[REDUCE_KEPT];
    uint32_t n, i;
    for (index[along] = 0; index[along] < kernel->extent[along]; index[along] += n) {
        struct edgebll_lane sum;
        n = kernel->extent[along] - index[along];
        if (n > EDGEBLL_STRIP) n = EDGEBLL_STRIP;
        for (i = 0; i < n; i++) work->sums[i] = first_value(kernel);
        do {
            const struct edgebll_lane *lane;
            edgebll_point(work, index, along);
            lane = terms(work, n);
            sum.at = lane->at;
            sum.step = lane->step;
            for (i = 0; i < n; i++, sum.at += 4 * sum.step) work->sums[i] = fold(kernel, work->sums[i], &sum, 1);
            edgebll_tick(work, n * kernel->instructions);
        } while (edgebll_next(index, kernel->extent, kept, along));
        edgebll_point(work, index, along);
        for (i = 0; i < n; i++) work->registers[0][i] = work->sums[i];
        edgebll_program(work, (int)kernel->special[REDUCE_PROLOGUE], kernel->instructions, n);
    }
    index[along] = 0;
}

void edgebll_reduce(struct edgebll_work *work)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    uint32_t index[EDGEBLL_MAX_RANK] = {0};
    do {
        if (kernel->flags & REDUCE_LANE_KEPT) reduce_across(work, index);
        else reduce_along(work, index);
    } while (edgebll_next(index, kernel->extent, 0, (int)kernel->special[REDUCE_KEPT]));
}
