/* Convolutions: lanes are output channels, which share the input, or output columns, which share the weights. */
#define EDGEBLL_SELDOM
#include <stddef.h>

#include "plan_words.h"

/* Along one axis: the taps of an output that meet an element of the input. */
struct axis {
    int32_t stride, padding, taps, tap_distance, elements, dilation;
    int32_t step, advance;         /* from one tap that meets an element to the next, and from this element to the next */
    int32_t start, element, count; /* the first such tap, its element, and how many there are */
};

static void set_axis(struct axis *axis, const struct edgebll_kernel *kernel, int number)
{
    axis->stride = (int32_t)kernel->special[CONV_STRIDE_H + number];
    axis->padding = kernel->padding[number];
    axis->taps = (int32_t)kernel->special[CONV_KH + number];
    axis->tap_distance = (int32_t)kernel->special[CONV_DILATION_H + number];
    axis->elements = (int32_t)kernel->special[CONV_H + number];
    axis->dilation = (int32_t)kernel->special[CONV_INPUT_H + number];
    axis->step = 1;
    while (axis->step * axis->tap_distance % axis->dilation != 0) axis->step++;
    axis->advance = axis->step * axis->tap_distance / axis->dilation;
}

/* Steps of size `size` that cover `way`. */
static int32_t steps(int32_t way, int32_t size)
{
    return size == 1 ? way : (way + size - 1) / size;
}

/* Sets start, element and count for one output. Tap t lies at out * stride - padding + t * distance of the dilated input. */
static void meet(struct axis *axis, uint32_t out)
{
    int32_t element = (int32_t)out * axis->stride - axis->padding, tap = 0, more;
    axis->count = axis->start = axis->element = 0;
    if (axis->dilation != 1) {
        for (; element % axis->dilation != 0; element += axis->tap_distance) {
            if (++tap == axis->step) return;
        }
        element /= axis->dilation;
    }
    if (element < 0) {
        int32_t skip = steps(-element, axis->advance);
        if (skip > axis->taps) return;
        tap += skip * axis->step;
        element += skip * axis->advance;
    }
    if (tap >= axis->taps || element >= axis->elements) return;
    axis->start = tap;
    axis->element = element;
    axis->count = steps(axis->taps - tap, axis->step);
    more = steps(axis->elements - element, axis->advance);
    if (more < axis->count) axis->count = more;
}

/* Strides may be anything where only one element lies along a loop: they go nowhere, but must not overflow. */
static int32_t way(int32_t stride, int32_t count)
{
    return (int32_t)((uint32_t)stride * (uint32_t)count);
}

/* Sets the factors of one output: `x` and `k` are where the input and the kernel of its batch, group and channel begin. */
static void set_window(struct edgebll_products *p, const struct edgebll_kernel *kernel, const struct axis *rows, const struct axis *columns,
                       const uint8_t *x, const uint8_t *k)
{
    const int32_t *xs = kernel->operand[EDGEBLL_FACTOR_A].stride, *ks = kernel->operand[EDGEBLL_FACTOR_B].stride;
    const int by_columns = kernel->flags;
    int32_t *x_way = by_columns ? p->lanes_way : p->shared_way, *k_way = by_columns ? p->shared_way : p->lanes_way;
    x += (rows->element * xs[3] + columns->element * xs[4]) * p->size;
    k += (rows->start * ks[3] + columns->start * ks[4]) * p->size;
    p->shared = by_columns ? k : x;
    p->lanes = by_columns ? x : k;
    if (p->count[1] == rows->count && p->count[2] == columns->count) return;
    p->count[1] = rows->count, p->count[2] = columns->count;
    x_way[1] = way(xs[3], rows->advance), x_way[2] = way(xs[4], columns->advance);
    k_way[1] = way(ks[3], rows->step), k_way[2] = way(ks[4], columns->step);
    edgebll_set_loops(p);
}

/* Lanes from `out` on that have all taps inside the input, at most `most`: only they can share the weights. */
static uint32_t lanes_inside(const struct axis *columns, uint32_t most)
{
    int32_t room = columns->elements - 1 - columns->element - (columns->taps - 1) * columns->tap_distance;
    uint32_t lanes;
    if (columns->dilation != 1 || columns->count != columns->taps || columns->start != 0) return 1;
    lanes = 1 + (uint32_t)room / (uint32_t)columns->stride;
    return lanes < most ? lanes : most;
}

/* Sums of n columns from `first` on, of one row of one channel. */
static void columns_of_row(const struct edgebll_kernel *kernel, struct edgebll_products *p, const struct axis *rows, struct axis *columns,
                           const uint8_t *x, const uint8_t *k, uint32_t first, uint32_t n, float *to, int32_t step)
{
    uint32_t at, lanes;
    for (at = 0; at < n; at += lanes) {
        meet(columns, first + at);
        set_window(p, kernel, rows, columns, x, k);
        lanes = lanes_inside(columns, n - at);
        edgebll_sums(p, to + (int32_t)at * step, step, lanes);
    }
}

/* One row of output, for channels at once or for one. */
static void row(struct edgebll_work *work, struct edgebll_products *p, const struct axis *rows, struct axis *columns, int stored)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    const struct edgebll_operand *a = &kernel->operand[EDGEBLL_FACTOR_A], *b = &kernel->operand[EDGEBLL_FACTOR_B];
    const uint32_t extent = kernel->extent[work->along], *index = work->index, strip = stored < 0 ? EDGEBLL_STRIP : extent;
    const uint8_t *x = work->region[a->where & 3] + a->offset * (uint32_t)p->size;
    const uint8_t *k = work->region[b->where & 3] + b->offset * (uint32_t)p->size + (int32_t)index[1] * b->stride[0] * p->size;
    int32_t step = stored < 0 ? 1 : kernel->operand[stored].stride[work->along];
    uint32_t at, n;
    x += ((int32_t)index[0] * a->stride[0] + (int32_t)index[1] * a->stride[1]) * p->size;
    if (kernel->flags) k += (int32_t)index[2] * b->stride[1] * p->size;
    do {
        for (at = 0; at < extent; at += n) {
            float *to = stored < 0 ? work->registers[0] : (float *)(void *)work->row[stored];
            n = extent - at < strip ? extent - at : strip;
            if (kernel->flags) columns_of_row(kernel, p, rows, columns, x, k, at, n, to, step);
            else {
                meet(columns, index[4]);
                set_window(p, kernel, rows, columns, x, k + (int32_t)at * p->across * p->size);
                edgebll_sums(p, to, step, n);
            }
            edgebll_tick(work, n * kernel->special[CONV_I] * (uint32_t)(rows->count * columns->taps));
            if (stored >= 0) break;
            edgebll_finish(work, NULL, at, n);
        }
    } while (edgebll_next(work, 4, 5));
}

void edgebll_conv(struct edgebll_work *work)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    const int32_t *xs = kernel->operand[EDGEBLL_FACTOR_A].stride, *ks = kernel->operand[EDGEBLL_FACTOR_B].stride;
    struct edgebll_products p = {0};
    struct axis rows, columns;
    const int stored = edgebll_stored(kernel);
    set_axis(&rows, kernel, 0);
    set_axis(&columns, kernel, 1);
    p.count[0] = (int32_t)kernel->special[CONV_I];
    p.count[1] = -1; /* none yet */
    p.size = edgebll_is_int8(kernel->operand[EDGEBLL_FACTOR_A].where) ? 1 : 4;
    p.shared_way[0] = kernel->flags ? ks[2] : xs[2];
    p.lanes_way[0] = kernel->flags ? xs[2] : ks[2];
    p.across = kernel->flags ? way(xs[4], columns.stride) : ks[1];
    do {
        meet(&rows, work->index[3]);
        row(work, &p, &rows, &columns, stored);
    } while (edgebll_next(work, 0, 4));
}
