/* Convolutions along output columns: for depthwise ones and few channels, where no channels share an input. */
#include "plan_words.h"

/* Adds one tap to the sums of a strip of columns. */
static void add_tap(float *sums, const float *x, float weight, const struct taken *taken, int32_t x_column)
{
    int32_t n = taken->count, step = taken->step;
    sums += taken->start;
    x += taken->element * x_column;
    x_column *= taken->advance;
    if (step == 1 && x_column == 1) {
        for (; n >= 4; n -= 4, sums += 4, x += 4) {
            float s0 = sums[0] + x[0] * weight, s1 = sums[1] + x[1] * weight;
            float s2 = sums[2] + x[2] * weight, s3 = sums[3] + x[3] * weight;
            sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
        }
    }
    for (; n != 0; n--, sums += step, x += x_column) *sums = *sums + *x * weight;
}

/* All taps of n columns from `first` on. */
static void strip(struct edgebll_work *work, const uint32_t *index, const struct taken *rows, const struct spacing *column, uint32_t n)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    const uint32_t *special = kernel->special;
    const int32_t *xs = kernel->a.stride, *ks = kernel->b.stride;
    const float *x = (const float *)(const void *)edgebll_at(work, &kernel->a, index, 2);
    const float *k = (const float *)(const void *)edgebll_at(work, &kernel->b, index + 1, 2);
    int32_t first = (int32_t)(index[4] * special[CONV_STRIDE_W]) - kernel->padding[1], channel, row, tap;
    uint32_t i;
    for (i = 0; i < n; i++) work->registers[0][i] = -0.0f;
    x += rows->element * xs[3];
    k += rows->start * ks[3];
    for (channel = 0; channel < (int32_t)special[CONV_I]; channel++, x += xs[2], k += ks[2]) {
        for (row = 0; row < rows->count; row++) {
            const float *x_row = x + row * rows->advance * xs[3], *tap_at = k + row * rows->step * ks[3];
            for (tap = 0; tap < (int32_t)special[CONV_KW]; tap++, tap_at += ks[4]) {
                struct taken taken = edgebll_taken(first + tap * (int32_t)special[CONV_DILATION_W], column, (int32_t)n, (int32_t)special[CONV_W]);
                if (taken.count) add_tap(work->registers[0], x_row, *tap_at, &taken, xs[4]);
            }
        }
    }
}

void edgebll_conv_columns(struct edgebll_work *work)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    const uint32_t *special = kernel->special;
    struct spacing row = edgebll_spacing(special[CONV_DILATION_H], special[CONV_INPUT_H]);
    struct spacing column = edgebll_spacing(special[CONV_STRIDE_W], special[CONV_INPUT_W]);
    uint32_t index[EDGEBLL_MAX_RANK] = {0}, n;
    do {
        int32_t above = (int32_t)(index[3] * special[CONV_STRIDE_H]) - kernel->padding[0];
        struct taken rows = edgebll_taken(above, &row, (int32_t)special[CONV_KH], (int32_t)special[CONV_H]);
        for (index[4] = 0; index[4] < kernel->extent[4]; index[4] += n) {
            n = kernel->extent[4] - index[4];
            if (n > EDGEBLL_STRIP) n = EDGEBLL_STRIP;
            strip(work, index, &rows, &column, n);
            edgebll_point(work, index, 4);
            edgebll_program(work, 0, kernel->instructions, n);
            edgebll_tick(work, n * special[CONV_I] * (uint32_t)rows.count * special[CONV_KW]);
        }
        index[4] = 0;
    } while (edgebll_next(index, kernel->extent, 0, 4));
}
