/* One kernel of a plan: everything that keeps it inside its regions and makes its result the same everywhere. */
#include <stddef.h>

#include "plan_words.h"

#define WORK_LIMIT 0x80000000u

/* First and last byte of an operand. */
struct range {
    uint32_t first, last;
};

static uint32_t product(uint32_t value, uint32_t factor)
{
    uint64_t result = (uint64_t)value * factor;
    return result >= WORK_LIMIT ? 0 : (uint32_t)result; /* 0: an extent of 0, or too much work */
}

static uint32_t region_bytes(const struct edgebll_plan *plan, int region)
{
    return region == ARENA ? plan->arena_bytes : region == STATE ? plan->state_bytes : plan->constant_bytes;
}

/* The product of all extents is below 2^31, so no sum below overflows. */
static int reach(const struct edgebll_plan *plan, const struct edgebll_operand *operand, const uint32_t *extent, int loops, struct range *range)
{
    int64_t low = operand->offset, high = operand->offset;
    uint32_t size;
    int i;
    if (operand->region > CONSTANTS || operand->dtype > INT64) return EDGEBLL_OPCODE;
    for (i = 0; i < loops; i++) {
        int64_t way = (int64_t)(extent[i] - 1) * operand->stride[i];
        if (way < 0) low += way;
        else high += way;
    }
    size = edgebll_size_of(operand->dtype);
    if (low < 0 || high >= (int64_t)(region_bytes(plan, operand->region) / size)) return EDGEBLL_RANGE;
    range->first = (uint32_t)low * size;
    range->last = (uint32_t)high * size + size - 1;
    return EDGEBLL_OK;
}

static int apart(const struct edgebll_operand *a, const struct range *ra, const struct edgebll_operand *b, const struct range *rb)
{
    return a->region != b->region || ra->last < rb->first || rb->last < ra->first;
}

static int same_view(const struct edgebll_kernel *kernel, const struct edgebll_operand *a, const struct edgebll_operand *b)
{
    int i;
    if (a->region != b->region || a->dtype != b->dtype || a->offset != b->offset) return 0;
    for (i = 0; i < kernel->rank; i++) {
        if (kernel->extent[i] > 1 && a->stride[i] != b->stride[i]) return 0;
    }
    return 1;
}

/* The first loop that is reduced and the one behind the last. */
static int reduced_from(const struct edgebll_kernel *kernel)
{
    return kernel->opcode == KERNEL_REDUCE ? (int)kernel->special[REDUCE_KEPT] : kernel->rank;
}

static int reduced_to(const struct edgebll_kernel *kernel)
{
    return kernel->opcode == KERNEL_REDUCE && kernel->flags & REDUCE_LANE_KEPT ? kernel->rank - 1 : kernel->rank;
}

static int check_written(const struct edgebll_kernel *kernel, int number, const struct range *ranges)
{
    const struct edgebll_operand *written = &kernel->operand[number];
    int i;
    if (written->region == CONSTANTS) return EDGEBLL_CONSTANT;
    for (i = 0; i < kernel->rank; i++) {
        int reduced = i >= reduced_from(kernel) && i < reduced_to(kernel);
        if (kernel->extent[i] > 1 && (written->stride[i] == 0) != reduced) return EDGEBLL_OVERLAP;
    }
    for (i = 0; i < kernel->operands; i++) {
        const struct edgebll_operand *other = &kernel->operand[i];
        if (i != number && !apart(written, &ranges[number], other, &ranges[i]) && !same_view(kernel, written, other)) return EDGEBLL_OVERLAP;
    }
    return EDGEBLL_OK;
}

static int sources_of(int code)
{
    return code >= SELECT ? 3 : (code >= ADD && code <= EQUAL) || code == GATE ? 2 : 1;
}

/* Whether an instruction may read a slot. */
static int readable(const struct edgebll_kernel *kernel, int slot, int any_dtype, uint32_t registers)
{
    if (slot < EDGEBLL_REGISTERS) return !any_dtype && registers >> slot & 1;
    slot -= EDGEBLL_REGISTERS;
    return slot < kernel->operands && (any_dtype || kernel->operand[slot].dtype == FLOAT32);
}

/* Follows a program: `registers` has a bit for each register that was written, `*written` gets one for each operand. */
static int check_program(const struct edgebll_kernel *kernel, int first, int last, uint32_t *registers, uint32_t *written)
{
    for (; first < last; first++) {
        struct instruction i = edgebll_instruction(kernel, first);
        int sources;
        if (i.code >= CODES) return EDGEBLL_OPCODE;
        sources = sources_of(i.code);
        if ((sources < 3 && i.c) || (sources < 2 && i.b)) return EDGEBLL_OPCODE;
        if (!readable(kernel, i.a, i.code == LOAD, *registers)) return EDGEBLL_SLOT;
        if (sources > 1 && !readable(kernel, i.b, 0, *registers)) return EDGEBLL_SLOT;
        if (sources > 2 && !readable(kernel, i.c, 0, *registers)) return EDGEBLL_SLOT;
        if (i.d < EDGEBLL_REGISTERS) {
            if (i.code == STORE) return EDGEBLL_SLOT;
            *registers |= 1u << i.d;
        } else {
            if (!readable(kernel, i.d, i.code == STORE, *registers)) return EDGEBLL_SLOT;
            *written |= 1u << (i.d - EDGEBLL_REGISTERS);
        }
    }
    return EDGEBLL_OK;
}

static int check_reduce(const struct edgebll_kernel *kernel)
{
    uint32_t registers = 0, written = 0;
    int lane = kernel->flags & REDUCE_LANE_KEPT ? 1 : 0, error;
    if (kernel->special[REDUCE_KEPT] + 1u + (uint32_t)lane > kernel->rank || kernel->special[REDUCE_KEPT] > kernel->rank) return EDGEBLL_RANK;
    if (kernel->special[REDUCE_PROLOGUE] > kernel->instructions) return EDGEBLL_RANK;
    error = check_program(kernel, 0, (int)kernel->special[REDUCE_PROLOGUE], &registers, &written);
    if (error) return error;
    return written || !(registers & 1) ? EDGEBLL_SLOT : EDGEBLL_OK;
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

/* A and B, or X and the kernel of a convolution; fills in their ranges. */
static int check_factors(const struct edgebll_plan *plan, const struct edgebll_kernel *kernel, uint32_t work, struct range *ranges)
{
    const uint32_t *special = kernel->special;
    uint32_t a[EDGEBLL_MAX_RANK], b[EDGEBLL_MAX_RANK];
    int i, error, loops = kernel->opcode == KERNEL_CONV ? 5 : kernel->rank + 1;
    if (kernel->opcode == KERNEL_CONV) {
        uint32_t inputs = product(kernel->extent[0], kernel->extent[1]);
        for (i = 0; i < 11; i++) {
            if (special[i] == 0) return EDGEBLL_EXTENT;
        }
        for (i = CONV_I; i <= CONV_W; i++) inputs = product(inputs, special[i]);
        work = product(product(product(work, special[CONV_I]), special[CONV_KH]), special[CONV_KW]);
        if (work == 0 || inputs == 0 || check_places(kernel, 0) || check_places(kernel, 1)) return EDGEBLL_EXTENT;
        a[0] = kernel->extent[0], a[1] = b[0] = kernel->extent[1], b[1] = kernel->extent[2], a[2] = b[2] = special[CONV_I];
        a[3] = special[CONV_H], a[4] = special[CONV_W], b[3] = special[CONV_KH], b[4] = special[CONV_KW];
    } else {
        if (product(work, special[0]) == 0 || kernel->a.stride[kernel->rank - 1] != 0) return EDGEBLL_EXTENT;
        for (i = 0; i < kernel->rank; i++) a[i] = b[i] = kernel->extent[i];
        a[i] = b[i] = special[0];
    }
    error = reach(plan, &kernel->a, a, loops, &ranges[0]);
    if (!error) error = reach(plan, &kernel->b, b, loops, &ranges[1]);
    if (error) return error;
    return kernel->a.dtype == FLOAT32 && kernel->b.dtype == FLOAT32 ? EDGEBLL_OK : EDGEBLL_SLOT;
}

static int check_gather(const struct edgebll_kernel *kernel)
{
    if (kernel->operands != 3 || kernel->instructions) return EDGEBLL_RANK;
    if (kernel->operand[0].dtype == FLOAT32 || kernel->operand[1].dtype != FLOAT32 || kernel->operand[2].dtype != FLOAT32) return EDGEBLL_SLOT;
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
    if (written->region == CONSTANTS) return EDGEBLL_CONSTANT;
    if ((rows > 1 && written->stride[0] == 0) || (kernel->extent[1] > 1 && written->stride[1] == 0)) return EDGEBLL_OVERLAP;
    for (i = 0; i < 3; i++) {
        if (i != number && !apart(written, &ranges[number], &kernel->operand[i], &ranges[i])) return EDGEBLL_OVERLAP;
    }
    return EDGEBLL_OK;
}

int edgebll_check_kernel(const struct edgebll_plan *plan, const struct edgebll_kernel *kernel)
{
    struct range ranges[EDGEBLL_MAX_OPERANDS + 2];
    uint32_t registers, written = 0;
    int i, first = 0, error = check_ranges(plan, kernel, ranges);
    const struct range *factors = ranges + EDGEBLL_MAX_OPERANDS;
    if (error) return error;
    if (kernel->opcode == KERNEL_GATHER) return check_gathered(kernel, ranges);
    if (kernel->opcode == KERNEL_REDUCE) {
        error = check_reduce(kernel);
        if (error) return error;
        first = (int)kernel->special[REDUCE_PROLOGUE];
    }
    registers = kernel->opcode == KERNEL_ELEMENT ? 0 : 1;
    error = check_program(kernel, first, kernel->instructions, &registers, &written);
    for (i = 0; i < kernel->operands && !error; i++) {
        const struct edgebll_operand *operand = &kernel->operand[i];
        if (!(written >> i & 1)) continue;
        error = check_written(kernel, i, ranges);
        if (error || kernel->opcode < KERNEL_GEMM) continue;
        if (!apart(operand, &ranges[i], &kernel->a, &factors[0]) || !apart(operand, &ranges[i], &kernel->b, &factors[1])) error = EDGEBLL_OVERLAP;
    }
    return error;
}
