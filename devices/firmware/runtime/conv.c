/* Convolutions: outputs that meet the input with the same taps are computed together, as a matrix product whose sums have three loops. */
#include <stddef.h>

#include "plan_words.h"

/* Along one axis. Tap t of an output lies at output * stride - padding + t * tap_distance of the input with its dilation. */
struct axis {
    int32_t extent, stride, padding, taps, tap_distance, elements, dilation;
    int32_t step, advance;         /* from one tap that meets an element to the next, and from this element to the next */
    int32_t period, progress;      /* from one output that meets the same taps to the next, and from this one's element to the next */
    int32_t first, outputs;        /* a run of such outputs */
    int32_t start, element, count; /* of the first: its first tap, that tap's element, and how many taps */
};

/* The smallest number of ways that together are a multiple of `dilation`. */
static int32_t ways_round(int32_t way, int32_t dilation)
{
    int32_t ways = 1;
    while (ways * way % dilation != 0) ways++;
    return ways;
}

static void set_axis(struct axis *axis, const struct edgebll_kernel *kernel, int number)
{
    axis->extent = (int32_t)kernel->extent[3 + number];
    axis->stride = (int32_t)kernel->special[CONV_STRIDE_H + number];
    axis->padding = kernel->padding[number];
    axis->taps = (int32_t)kernel->special[CONV_KH + number];
    axis->tap_distance = (int32_t)kernel->special[CONV_DILATION_H + number];
    axis->elements = (int32_t)kernel->special[CONV_H + number];
    axis->dilation = (int32_t)kernel->special[CONV_INPUT_H + number];
    axis->step = ways_round(axis->tap_distance, axis->dilation);
    axis->advance = axis->step * axis->tap_distance / axis->dilation;
    axis->period = ways_round(axis->stride, axis->dilation);
    axis->progress = axis->period * axis->stride / axis->dilation;
    axis->first = axis->outputs = 0;
}

/* Steps of size `size` that cover `way`. */
static int32_t steps(int32_t way, int32_t size)
{
    return size == 1 ? way : (way + size - 1) / size;
}

/* Sets start, element and count of the run's first output. Returns how many outputs, a period from one another, have the same taps. */
static int32_t meet(struct axis *axis)
{
    int32_t element = axis->first * axis->stride - axis->padding, tap = 0, skip = 0, more;
    axis->count = axis->start = axis->element = 0;
    for (; element % axis->dilation != 0; element += axis->tap_distance) {
        if (++tap == axis->step) return axis->extent; /* nor does any other of these */
    }
    element /= axis->dilation;
    if (element < 0) {
        skip = steps(-element, axis->advance);
        if (skip > axis->taps) return 1;
        tap += skip * axis->step;
        element += skip * axis->advance;
    }
    if (tap >= axis->taps || element >= axis->elements) return 1;
    axis->start = tap;
    axis->element = element;
    axis->count = steps(axis->taps - tap, axis->step);
    more = steps(axis->elements - element, axis->advance);
    if (more < axis->count) axis->count = more;
    else if (skip == 0) return 1 + (axis->elements - 1 - element - (axis->count - 1) * axis->advance) / axis->progress;
    return 1;
}

/* Goes on to the next run of outputs. 0 when all were seen; then it begins anew. */
static int next_run(struct axis *axis)
{
    int32_t left;
    axis->first += axis->outputs * axis->period;
    if (axis->outputs != 0 && axis->first >= axis->extent) {
        axis->first = axis->first % axis->period + 1;
        if (axis->first == axis->period || axis->first >= axis->extent) {
            axis->first = axis->outputs = 0;
            return 0;
        }
    }
    axis->outputs = meet(axis);
    left = (axis->extent - 1 - axis->first) / axis->period + 1;
    if (axis->outputs > left) axis->outputs = left;
    return 1;
}

/* Strides may be anything where only one element lies along a loop: they go nowhere, but must not overflow. */
static int32_t way(int32_t stride, int32_t count)
{
    return (int32_t)((uint32_t)stride * (uint32_t)count);
}

/* Makes `loop` go over the outputs of the run, or over all again. */
static void narrow(struct edgebll_kernel *kernel, const struct axis *axis, int loop, int back)
{
    int i;
    kernel->extent[loop] = (uint32_t)(back ? axis->extent : axis->outputs);
    for (i = 0; i < kernel->operands; i++) {
        struct edgebll_operand *operand = &kernel->operand[i];
        if (back && axis->outputs > 1) operand->stride[loop] /= axis->period;
        if (back) operand->offset -= (uint32_t)way(operand->stride[loop], axis->first);
        else operand->offset += (uint32_t)way(operand->stride[loop], axis->first);
        if (!back && axis->outputs > 1) operand->stride[loop] *= axis->period;
    }
}

/* The factors of a run as those of a matrix product over the kernel's five loops. */
static void set_factors(struct edgebll_kernel *kernel, const struct edgebll_operand *x, const struct edgebll_operand *k, const struct axis *rows,
                        const struct axis *columns)
{
    struct edgebll_operand *a = &kernel->operand[EDGEBLL_FACTOR_A], *b = &kernel->operand[EDGEBLL_FACTOR_B];
    a->offset = x->offset + (uint32_t)(way(x->stride[3], rows->element) + way(x->stride[4], columns->element));
    b->offset = k->offset + (uint32_t)(way(k->stride[3], rows->start) + way(k->stride[4], columns->start));
    a->stride[2] = b->stride[0] = b->stride[3] = b->stride[4] = 0;
    a->stride[3] = way(x->stride[3], rows->progress);
    a->stride[4] = way(x->stride[4], columns->progress);
    b->stride[1] = k->stride[0];
    b->stride[2] = k->stride[1];
}

static void set_ways(struct edgebll_products *p, const struct edgebll_operand *x, const struct edgebll_operand *k, const struct axis *rows,
                     const struct axis *columns, int by_channels)
{
    int32_t *x_way = by_channels ? p->shared_way : p->lanes_way, *k_way = by_channels ? p->lanes_way : p->shared_way;
    x_way[0] = x->stride[2], x_way[1] = way(x->stride[3], rows->advance), x_way[2] = way(x->stride[4], columns->advance);
    k_way[0] = k->stride[2], k_way[1] = way(k->stride[3], rows->step), k_way[2] = way(k->stride[4], columns->step);
    edgebll_set_loops(p);
}

/* The loop along which sums are taken side by side: output channels, which share the input, or rows or columns, which share the kernel. */
static int choose_loop(const struct edgebll_kernel *kernel, const struct edgebll_products *p, int32_t row)
{
    int loop, best = 4;
    if (kernel->extent[3] > 1 && edgebll_can_slide(p->count, kernel->operand[EDGEBLL_FACTOR_A].stride[3], row)) return 3;
    for (loop = 3; loop >= 2; loop--) {
        const int factor = loop == 2 ? EDGEBLL_FACTOR_B : EDGEBLL_FACTOR_A, other = best == 2 ? EDGEBLL_FACTOR_B : EDGEBLL_FACTOR_A;
        const uint32_t n = kernel->extent[loop], m = kernel->extent[best];
        if (edgebll_cost(n, kernel->operand[factor].stride[loop]) * m < edgebll_cost(m, kernel->operand[other].stride[best]) * n) best = loop;
    }
    return best;
}

/* Whether the input is mostly zero, as far as the first image tells, and outputs that share it gain by that. */
static int is_silent(const struct edgebll_work *work, const struct edgebll_operand *x)
{
#ifdef EDGEBLL_SPARSE
    const struct edgebll_kernel *kernel = &work->kernel;
    struct edgebll_products all;
    int i;
    for (i = 0; i < 3; i++) {
        all.count[i] = (int32_t)kernel->special[CONV_I + i];
        all.shared_way[i] = x->stride[2 + i];
        all.lanes_way[i] = 0;
    }
    all.across = 0;
    all.size = all.shared_size = (int32_t)edgebll_size_of(x->where);
    all.shared = work->region[x->where & 3] + x->offset * (uint32_t)all.size;
    edgebll_set_loops(&all);
    edgebll_set_sparse(&all, EDGEBLL_LOOK);
    return edgebll_is_sparse(&all, kernel->extent[2]);
#else
    (void)work, (void)x;
    return 0;
#endif
}

void edgebll_conv(struct edgebll_work *work)
{
    struct edgebll_kernel *kernel = &work->kernel;
    const struct edgebll_operand x = kernel->operand[EDGEBLL_FACTOR_A], k = kernel->operand[EDGEBLL_FACTOR_B];
    struct edgebll_products products;
    struct axis rows, columns;
    const int silent = is_silent(work, &x);
    set_axis(&rows, kernel, 0);
    set_axis(&columns, kernel, 1);
    products.count[0] = (int32_t)kernel->special[CONV_I];
    edgebll_set_sparse(&products, silent);
    while (next_run(&rows)) {
        narrow(kernel, &rows, 3, 0);
        while (next_run(&columns)) {
            int along;
            narrow(kernel, &columns, 4, 0);
            set_factors(kernel, &x, &k, &rows, &columns);
            products.count[1] = rows.count, products.count[2] = columns.count;
            along = silent ? 2 : choose_loop(kernel, &products, way(x.stride[3], rows.advance));
            products.across = kernel->operand[along == 2 ? EDGEBLL_FACTOR_B : EDGEBLL_FACTOR_A].stride[along];
            set_ways(&products, &x, &k, &rows, &columns, along == 2);
            edgebll_start(work, along);
            edgebll_lines(work, &products, along == 2 ? EDGEBLL_FACTOR_A : EDGEBLL_FACTOR_B, NULL);
            narrow(kernel, &columns, 4, 1);
        }
        narrow(kernel, &rows, 3, 1);
    }
}
