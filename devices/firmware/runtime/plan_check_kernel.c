/* One kernel of a plan: everything that keeps it inside its regions and makes its result the same everywhere. */
#include <stddef.h>

#include "plan_words.h"

#define WORK_LIMIT 0x80000000u
/* Fewer products of two int8 than these never overflow their sum. */
#define INTEGER_TERMS_LIMIT 0x20000u
/* Strides of loops of extent 1 go nowhere, but are multiplied: that must not overflow. */
#define STRIDE_LIMIT (1 << 27)

/* First and last byte of an operand. */
struct range {
    uint32_t first, last;
};

static uint32_t product(uint32_t value, uint32_t factor)
{
    uint64_t result = (uint64_t)value * factor;
    return result >= WORK_LIMIT ? 0 : (uint32_t)result; /* 0: an extent of 0, or too much work */
}

static uint32_t region_bytes(const struct edgebll_plan *plan, uint32_t region)
{
    return region == ARENA ? plan->arena_bytes : region == STATE ? plan->state_bytes : plan->constant_bytes;
}

/* The product of all extents is below 2^31, so no sum below overflows. */
static int reach(const struct edgebll_plan *plan, const struct edgebll_operand *operand, const uint32_t *extent, int loops, struct range *range)
{
    int64_t low = operand->offset, high = low;
    uint32_t size;
    int i;
    if ((operand->where & 3) > CONSTANTS || operand->where >> 2 > LAST_DTYPE) return EDGEBLL_OPCODE;
    for (i = 0; i < loops; i++) {
        int64_t way = (int64_t)(extent[i] - 1) * operand->stride[i];
        if (operand->stride[i] >= STRIDE_LIMIT || operand->stride[i] <= -STRIDE_LIMIT) return EDGEBLL_EXTENT;
        if (way < 0) low += way;
        else high += way;
    }
    size = edgebll_size_of(operand->where);
    if (low < 0 || high >= (int64_t)(region_bytes(plan, operand->where & 3) / size)) return EDGEBLL_RANGE;
    range->first = (uint32_t)low * size;
    range->last = (uint32_t)high * size + size - 1;
    return EDGEBLL_OK;
}

static int apart(const struct edgebll_operand *a, const struct range *ra, const struct edgebll_operand *b, const struct range *rb)
{
    return (a->where & 3) != (b->where & 3) || ra->last < rb->first || rb->last < ra->first;
}

static int same_view(const struct edgebll_kernel *kernel, const struct edgebll_operand *a, const struct edgebll_operand *b)
{
    int i;
    if (a->where != b->where || a->offset != b->offset) return 0;
    for (i = 0; i < kernel->rank; i++) {
        if (kernel->extent[i] > 1 && a->stride[i] != b->stride[i]) return 0;
    }
    return 1;
}

static int check_written(const struct edgebll_kernel *kernel, int number, const struct range *ranges)
{
    const struct edgebll_operand *written = &kernel->operand[number];
    int i;
    if ((written->where & 3) == CONSTANTS) return EDGEBLL_CONSTANT;
    for (i = 0; i < kernel->rank; i++) {
        if (kernel->extent[i] > 1 && written->stride[i] == 0 && !edgebll_reduced(kernel, i)) return EDGEBLL_OVERLAP;
    }
    for (i = 0; i < kernel->operands; i++) {
        const struct edgebll_operand *other = &kernel->operand[i];
        if (i != number && !apart(written, &ranges[number], other, &ranges[i]) && !same_view(kernel, written, other)) return EDGEBLL_OVERLAP;
    }
    return EDGEBLL_OK;
}

/* Places of taps and outputs stay far inside 32 bits. */
static int check_places(const struct edgebll_kernel *kernel, int axis)
{
    int64_t places = (int64_t)(kernel->extent[3 + axis] - 1) * kernel->special[CONV_STRIDE_H + axis];
    int64_t taps = (int64_t)(kernel->special[CONV_KH + axis] - 1) * kernel->special[CONV_DILATION_H + axis];
    int64_t inputs = (int64_t)(kernel->special[CONV_H + axis] - 1) * kernel->special[CONV_INPUT_H + axis];
    int64_t padding = kernel->padding[axis];
    if (kernel->special[CONV_DILATION_H + axis] >> 15 || kernel->special[CONV_STRIDE_H + axis] >> 15) return EDGEBLL_EXTENT;
    if (kernel->special[CONV_INPUT_H + axis] >> 15) return EDGEBLL_EXTENT;
    if (padding < 0) padding = -padding;
    return places >> 29 || taps >> 29 || inputs >> 29 || padding >> 29 ? EDGEBLL_EXTENT : EDGEBLL_OK;
}

/* X and the kernel of a convolution: the extents of their loops. */
static int conv_loops(const struct edgebll_kernel *kernel, uint32_t work, uint32_t *x, uint32_t *k)
{
    const uint32_t *special = kernel->special, *extent = kernel->extent;
    uint32_t inputs = product(extent[0], extent[1]);
    int i;
    for (i = 0; i < 11; i++) {
        if (special[i] == 0) return EDGEBLL_EXTENT;
    }
    for (i = CONV_I; i <= CONV_W; i++) inputs = product(inputs, special[i]);
    work = product(product(product(work, special[CONV_I]), special[CONV_KH]), special[CONV_KW]);
    if (work == 0 || inputs == 0 || check_places(kernel, 0) || check_places(kernel, 1)) return EDGEBLL_EXTENT;
    x[0] = extent[0], x[1] = k[0] = extent[1], k[1] = extent[2], x[2] = k[2] = special[CONV_I];
    x[3] = special[CONV_H], x[4] = special[CONV_W], k[3] = special[CONV_KH], k[4] = special[CONV_KW];
    return EDGEBLL_OK;
}

/* How many products each sum has; their number was found to be below 2^31. */
static uint32_t terms(const struct edgebll_kernel *kernel)
{
    const uint32_t *special = kernel->special;
    return kernel->opcode == KERNEL_CONV ? special[CONV_I] * special[CONV_KH] * special[CONV_KW] : special[0];
}

/* Whether an operand may be a factor beside one of float32. */
static int is_factor(const struct edgebll_operand *operand)
{
    return edgebll_is_float(operand) || edgebll_is_int8(operand->where) || edgebll_is_int16(operand->where);
}

/* The two factors of a sum of products; fills in their ranges. */
static int check_factors(const struct edgebll_plan *plan, const struct edgebll_kernel *kernel, uint32_t work, struct range *ranges)
{
    const struct edgebll_operand *a = &kernel->operand[EDGEBLL_FACTOR_A], *b = &kernel->operand[EDGEBLL_FACTOR_B];
    uint32_t a_extent[EDGEBLL_MAX_RANK], b_extent[EDGEBLL_MAX_RANK];
    int i, error, loops = kernel->opcode == KERNEL_CONV ? 5 : kernel->rank + 1;
    if (kernel->opcode == KERNEL_CONV) {
        error = conv_loops(kernel, work, a_extent, b_extent);
        if (error) return error;
    } else {
        if (product(work, kernel->special[0]) == 0 || a->stride[kernel->rank - 1] != 0) return EDGEBLL_EXTENT;
        for (i = 0; i < kernel->rank; i++) a_extent[i] = b_extent[i] = kernel->extent[i];
        a_extent[i] = b_extent[i] = kernel->special[0];
    }
    error = reach(plan, a, a_extent, loops, &ranges[0]);
    if (!error) error = reach(plan, b, b_extent, loops, &ranges[1]);
    if (error) return error;
    if (edgebll_is_int8(a->where) && edgebll_is_int8(b->where)) return terms(kernel) < INTEGER_TERMS_LIMIT ? EDGEBLL_OK : EDGEBLL_EXTENT;
    return (edgebll_is_float(a) && is_factor(b)) || (edgebll_is_float(b) && is_factor(a)) ? EDGEBLL_OK : EDGEBLL_SLOT;
}

static int check_gather(const struct edgebll_kernel *kernel)
{
    if (kernel->operands != 3 || kernel->instructions) return EDGEBLL_RANK;
    if (is_factor(&kernel->operand[0]) || !edgebll_is_float(&kernel->operand[1]) || !edgebll_is_float(&kernel->operand[2])) return EDGEBLL_SLOT;
    if (kernel->operand[0].stride[1] != 0 || product(kernel->special[0], kernel->extent[1]) == 0) return EDGEBLL_EXTENT;
    return EDGEBLL_OK;
}

/* Ranges of all operands. */
static int check_ranges(const struct edgebll_plan *plan, const struct edgebll_kernel *kernel, struct range *ranges)
{
    uint32_t extent[EDGEBLL_MAX_RANK], work = 1;
    int i, error;
    for (i = 0; i < kernel->rank; i++) {
        extent[i] = kernel->extent[i];
        work = product(work, extent[i]);
    }
    if (work == 0) return EDGEBLL_EXTENT;
    if (kernel->opcode == KERNEL_GATHER) {
        error = check_gather(kernel);
        if (error) return error;
    }
    for (i = 0; i < kernel->operands; i++) {
        extent[0] = kernel->opcode == KERNEL_GATHER && i == 1 ? kernel->special[0] : kernel->extent[0];
        error = reach(plan, &kernel->operand[i], extent, kernel->rank, &ranges[i]);
        if (error) return error;
    }
    if (kernel->opcode != KERNEL_GEMM && kernel->opcode != KERNEL_CONV) return EDGEBLL_OK;
    return check_factors(plan, kernel, work, ranges + EDGEBLL_MAX_OPERANDS);
}

/* A row that GATHER writes must meet neither the indices nor the other rows: "the same view" says nothing where rows are chosen. */
static int check_gathered(const struct edgebll_kernel *kernel, const struct range *ranges)
{
    int number = kernel->flags ? 1 : 2, i;
    const struct edgebll_operand *written = &kernel->operand[number];
    uint32_t rows = kernel->flags ? kernel->special[0] : kernel->extent[0];
    if ((written->where & 3) == CONSTANTS) return EDGEBLL_CONSTANT;
    if ((rows > 1 && written->stride[0] == 0) || (kernel->extent[1] > 1 && written->stride[1] == 0)) return EDGEBLL_OVERLAP;
    for (i = 0; i < 3; i++) {
        if (i != number && !apart(written, &ranges[number], &kernel->operand[i], &ranges[i])) return EDGEBLL_OVERLAP;
    }
    return EDGEBLL_OK;
}

int edgebll_check_kernel(const struct edgebll_plan *plan, const struct edgebll_kernel *kernel)
{
    struct range ranges[EDGEBLL_ALL_OPERANDS];
    const struct edgebll_operand *factors = &kernel->operand[EDGEBLL_FACTOR_A];
    const struct range *factor_ranges = ranges + EDGEBLL_FACTOR_A;
    uint32_t written;
    int i, error = check_ranges(plan, kernel, ranges);
    if (error) return error;
    if (kernel->opcode == KERNEL_GATHER) return check_gathered(kernel, ranges);
    error = edgebll_check_programs(kernel, &written);
    for (i = 0; i < kernel->operands && !error; i++) {
        const struct edgebll_operand *operand = &kernel->operand[i];
        if (!(written >> i & 1)) continue;
        error = check_written(kernel, i, ranges);
        if (error || (kernel->opcode != KERNEL_GEMM && kernel->opcode != KERNEL_CONV)) continue;
        if (!apart(operand, &ranges[i], &factors[0], &factor_ranges[0])) error = EDGEBLL_OVERLAP;
        if (!apart(operand, &ranges[i], &factors[1], &factor_ranges[1])) error = EDGEBLL_OVERLAP;
    }
    return error;
}
