/* Convolutions along output channels: four channels at a time share each input. */
#include "plan_words.h"

struct spacing edgebll_spacing(uint32_t distance, uint32_t dilation)
{
    struct spacing spacing;
    spacing.distance = (int32_t)distance;
    spacing.dilation = (int32_t)dilation;
    spacing.step = 1;
    while ((uint32_t)spacing.step * distance % dilation != 0) spacing.step++;
    spacing.advance = (int32_t)((uint32_t)spacing.step * distance / dilation);
    return spacing;
}

/* Place t is at position base + t * distance; it is taken where that is a multiple of the dilation, of an element that is there. */
struct taken edgebll_taken(int32_t base, const struct spacing *spacing, int32_t places, int32_t elements)
{
    struct taken taken = {0, 0, 0, 0, 0};
    int32_t t = 0, element, by_places, by_elements;
    taken.step = spacing->step;
    taken.advance = spacing->advance;
    if (spacing->dilation != 1) {
        while (t < spacing->step && base % spacing->dilation != 0) {
            base += spacing->distance;
            t++;
        }
        if (t == spacing->step) return taken;
        base /= spacing->dilation;
    }
    element = base;
    if (element < 0) {
        int32_t skip = (-element + spacing->advance - 1) / spacing->advance;
        if (skip > (places - t) / spacing->step) return taken;
        t += skip * spacing->step;
        element += skip * spacing->advance;
    }
    if (t >= places || element >= elements) return taken;
    taken.start = t;
    taken.element = element;
    by_places = (places - 1 - t) / spacing->step + 1;
    by_elements = (elements - 1 - element) / spacing->advance + 1;
    taken.count = by_places < by_elements ? by_places : by_elements;
    return taken;
}

/* The taps of one output: where the first lies in X and in the kernel, and the ways to the next. */
struct window {
    const float *x, *kernel;
    int32_t channels, rows, columns;
    int32_t x_channel, x_row, x_column, kernel_channel, kernel_row, kernel_column;
    int32_t across; /* to the next output channel's kernel */
};

static void four_channels(float *sums, const struct window *w)
{
    const float *x_channel = w->x, *kernel_channel = w->kernel;
    const int32_t x_column = w->x_column, kernel_column = w->kernel_column;
    float s0 = -0.0f, s1 = -0.0f, s2 = -0.0f, s3 = -0.0f;
    int32_t channel, row, column;
    for (channel = w->channels; channel != 0; channel--, x_channel += w->x_channel, kernel_channel += w->kernel_channel) {
        const float *x_row = x_channel, *kernel_row = kernel_channel;
        for (row = w->rows; row != 0; row--, x_row += w->x_row, kernel_row += w->kernel_row) {
            const float *x = x_row, *k0 = kernel_row, *k1 = k0 + w->across, *k2 = k1 + w->across, *k3 = k2 + w->across;
            for (column = w->columns; column != 0; column--) {
                float v = *x;
                s0 = s0 + v * *k0;
                s1 = s1 + v * *k1;
                s2 = s2 + v * *k2;
                s3 = s3 + v * *k3;
                x += x_column, k0 += kernel_column, k1 += kernel_column, k2 += kernel_column, k3 += kernel_column;
            }
        }
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

static float one_channel(const struct window *w)
{
    const float *x_channel = w->x, *kernel_channel = w->kernel;
    float sum = -0.0f;
    int32_t channel, row, column;
    for (channel = w->channels; channel != 0; channel--, x_channel += w->x_channel, kernel_channel += w->kernel_channel) {
        const float *x_row = x_channel, *kernel_row = kernel_channel;
        for (row = w->rows; row != 0; row--, x_row += w->x_row, kernel_row += w->kernel_row) {
            const float *x = x_row, *k = kernel_row;
            for (column = w->columns; column != 0; column--, x += w->x_column, k += w->kernel_column) sum = sum + *x * *k;
        }
    }
    return sum;
}

/* All output channels of one place. */
static void place(struct edgebll_work *work, struct window *w)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    uint32_t left, n, i;
    for (left = kernel->extent[2]; left != 0; left -= n) {
        n = left < EDGEBLL_STRIP ? left : EDGEBLL_STRIP;
        for (i = 0; i + 4 <= n; i += 4, w->kernel += 4 * w->across) four_channels(work->registers[0] + i, w);
        for (; i < n; i++, w->kernel += w->across) work->registers[0][i] = one_channel(w);
        edgebll_program(work, 0, kernel->instructions, n);
        if (left > n) edgebll_advance(work, n);
    }
}

static void set_rows(struct window *w, const struct edgebll_kernel *kernel, const struct taken *rows, const struct taken *columns)
{
    const int32_t *x = kernel->a.stride, *k = kernel->b.stride;
    w->channels = (int32_t)kernel->special[CONV_I];
    w->rows = rows->count;
    w->columns = columns->count;
    w->x_channel = x[2], w->x_row = x[3] * rows->advance, w->x_column = x[4] * columns->advance;
    w->kernel_channel = k[2], w->kernel_row = k[3] * rows->step, w->kernel_column = k[4] * columns->step;
    w->across = k[1];
}

void edgebll_conv(struct edgebll_work *work)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    const uint32_t *special = kernel->special;
    struct spacing row = edgebll_spacing(special[CONV_DILATION_H], special[CONV_INPUT_H]);
    struct spacing column = edgebll_spacing(special[CONV_DILATION_W], special[CONV_INPUT_W]);
    uint32_t index[EDGEBLL_MAX_RANK] = {0};
    struct window w;
    do {
        const float *x = (const float *)(const void *)edgebll_at(work, &kernel->a, index, 2);
        const float *k = (const float *)(const void *)edgebll_at(work, &kernel->b, index + 1, 1);
        int32_t above = (int32_t)(index[3] * special[CONV_STRIDE_H]) - kernel->padding[0];
        struct taken rows = edgebll_taken(above, &row, (int32_t)special[CONV_KH], (int32_t)special[CONV_H]);
        do {
            int32_t before = (int32_t)(index[4] * special[CONV_STRIDE_W]) - kernel->padding[1];
            struct taken columns = edgebll_taken(before, &column, (int32_t)special[CONV_KW], (int32_t)special[CONV_W]);
            set_rows(&w, kernel, &rows, &columns);
            w.x = x + rows.element * kernel->a.stride[3] + columns.element * kernel->a.stride[4];
            w.kernel = k + rows.start * kernel->b.stride[3] + columns.start * kernel->b.stride[4];
            edgebll_point(work, index, 2);
            place(work, &w);
            edgebll_tick(work, kernel->extent[2] * special[CONV_I] * (uint32_t)(rows.count * columns.count));
        } while (edgebll_next(index, kernel->extent, 4, 5));
        /* Loop 2, the channels, is done inside `place`. */
    } while (edgebll_next(index, kernel->extent, 3, 4) || edgebll_next(index, kernel->extent, 0, 2));
}
