/* Sums and maxima over loops. */
#include "plan_words.h"

static float first_value(const struct edgebll_kernel *kernel)
{
    return kernel->flags & REDUCE_MAXIMUM ? edgebll_log(0.0f) : -0.0f; /* minus infinity */
}

/* Runs the prologue and returns where its values are: a prologue that only moves one operand need not run. */
static struct edgebll_lane terms(struct edgebll_work *work, uint32_t n)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    if (kernel->special[REDUCE_PROLOGUE] == 1) {
        struct instruction only = edgebll_instruction(kernel, 0);
        if (only.code == MOVE && only.d == 0) return work->lane[only.a];
    }
    edgebll_program(work, 0, (int)kernel->special[REDUCE_PROLOGUE], n);
    return work->lane[0];
}

/* Folds n terms into sums that step on by `step`: 0 for one sum, 1 for a strip of them. */
static void fold(const struct edgebll_kernel *kernel, float *sum, int32_t step, const struct edgebll_lane *lane, uint32_t n)
{
    const float *at = (const float *)(const void *)lane->at;
    if (kernel->flags & REDUCE_MAXIMUM) {
        for (; n != 0; n--, at += lane->step, sum += step) *sum = *sum < *at ? *at : *sum;
    } else {
        for (; n != 0; n--, at += lane->step, sum += step) *sum = *sum + *at;
    }
}

static void finish(struct edgebll_work *work, uint32_t n)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    uint32_t i;
    for (i = 0; i < n; i++) work->registers[0][i] = work->sums[i];
    edgebll_program(work, (int)kernel->special[REDUCE_PROLOGUE], kernel->instructions, n);
}

/* The last loop is reduced: one sum at a time, over all loops from `kept` on. */
static void reduce_along(struct edgebll_work *work)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    const uint32_t extent = kernel->extent[work->along];
    uint32_t at, n;
    do {
        for (at = 0; at < extent; at += n) {
            struct edgebll_lane lane;
            n = extent - at < EDGEBLL_STRIP ? extent - at : EDGEBLL_STRIP;
            edgebll_lanes(work, at);
            lane = terms(work, n);
            fold(kernel, work->sums, 0, &lane, n);
            edgebll_tick(work, n * kernel->instructions);
        }
    } while (edgebll_next(work, (int)kernel->special[REDUCE_KEPT], work->along));
    edgebll_lanes(work, 0);
    finish(work, 1);
}

/* The last loop is kept: n sums side by side, which begin at element `at` of the row. */
static void reduce_across(struct edgebll_work *work, uint32_t at, uint32_t n)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    do {
        struct edgebll_lane lane;
        edgebll_lanes(work, at);
        lane = terms(work, n);
        fold(kernel, work->sums, 1, &lane, n);
        edgebll_tick(work, n * kernel->instructions);
    } while (edgebll_next(work, (int)kernel->special[REDUCE_KEPT], work->along));
    edgebll_lanes(work, at);
    finish(work, n);
}

void edgebll_reduce(struct edgebll_work *work)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    const int across = kernel->flags & REDUCE_LANE_KEPT, along = work->along;
    const uint32_t lanes = across ? kernel->extent[along] : 1;
    uint32_t at, n, i;
    for (at = 0; at < lanes; at += n) {
        n = lanes - at < EDGEBLL_STRIP ? lanes - at : EDGEBLL_STRIP;
        if (at) edgebll_start(work, along);
        do {
            for (i = 0; i < n; i++) work->sums[i] = first_value(kernel);
            if (across) reduce_across(work, at, n);
            else reduce_along(work);
        } while (edgebll_next(work, 0, (int)kernel->special[REDUCE_KEPT]));
    }
}
