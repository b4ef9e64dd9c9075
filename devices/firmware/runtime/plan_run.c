/* Runs the kernels of a checked plan one after another. */
#include <stddef.h>
#include <string.h>

#include "plan_words.h"

enum { HOOK_EVERY = 8192 };

void edgebll_tick(struct edgebll_work *work, uint32_t operations)
{
    work->until_hook -= (int32_t)(operations < HOOK_EVERY ? operations : HOOK_EVERY);
    if (work->until_hook > 0) return;
    work->until_hook = HOOK_EVERY;
    if (work->hook) work->hook(work->hook_context);
}

int edgebll_next(uint32_t *index, const uint32_t *extent, int from, int to)
{
    while (to-- > from) {
        if (++index[to] < extent[to]) return 1;
        index[to] = 0;
    }
    return 0;
}

uint8_t *edgebll_at(const struct edgebll_work *work, const struct edgebll_operand *operand, const uint32_t *index, int loops)
{
    int32_t element = (int32_t)operand->offset;
    int i;
    for (i = 0; i < loops; i++) element += (int32_t)index[i] * operand->stride[i];
    return work->region[operand->region] + (uint32_t)element * edgebll_size_of(operand->dtype);
}

void edgebll_point(struct edgebll_work *work, const uint32_t *index, int along)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    int i;
    for (i = 0; i < kernel->operands; i++) {
        struct edgebll_lane *lane = &work->lane[EDGEBLL_REGISTERS + i];
        lane->at = edgebll_at(work, &kernel->operand[i], index, kernel->rank);
        lane->step = kernel->operand[i].stride[along];
    }
}

void edgebll_advance(struct edgebll_work *work, uint32_t elements)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    int i;
    for (i = 0; i < kernel->operands; i++) {
        struct edgebll_lane *lane = &work->lane[EDGEBLL_REGISTERS + i];
        lane->at += (int32_t)elements * lane->step * (int32_t)edgebll_size_of(kernel->operand[i].dtype);
    }
}

static void run_element(struct edgebll_work *work)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    int along = kernel->rank - 1;
    uint32_t index[EDGEBLL_MAX_RANK] = {0}, left, n;
    do {
        edgebll_point(work, index, along);
        for (left = kernel->extent[along]; left != 0; left -= n) {
            n = left < EDGEBLL_STRIP ? left : EDGEBLL_STRIP;
            edgebll_program(work, 0, kernel->instructions, n);
            edgebll_tick(work, n * kernel->instructions);
            if (left > n) edgebll_advance(work, n);
        }
    } while (edgebll_next(index, kernel->extent, 0, along));
}

static uint32_t row_of(const struct edgebll_work *work, uint32_t number)
{
    const struct edgebll_operand *index = &work->kernel.operand[0];
    const uint8_t *at = edgebll_at(work, index, &number, 1);
    int32_t row;
    if (index->dtype == UINT8) row = *at;
    else memcpy(&row, at, 4);
    if (row < 0) return 0;
    return (uint32_t)row < work->kernel.special[0] ? (uint32_t)row : work->kernel.special[0] - 1;
}

static void run_gather(struct edgebll_work *work)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    uint32_t i, k, row;
    for (i = 0; i < kernel->extent[0]; i++) {
        float *table, *out;
        row = row_of(work, i);
        table = (float *)(void *)edgebll_at(work, &kernel->operand[1], &row, 1);
        out = (float *)(void *)edgebll_at(work, &kernel->operand[2], &i, 1);
        for (k = 0; k < kernel->extent[1]; k++, table += kernel->operand[1].stride[1], out += kernel->operand[2].stride[1]) {
            if (kernel->flags) *table = *table + *out;
            else *out = *table;
        }
        edgebll_tick(work, kernel->extent[1]);
    }
}

static void run_kernel(struct edgebll_work *work)
{
    switch (work->kernel.opcode) {
    case KERNEL_ELEMENT: run_element(work); break;
    case KERNEL_REDUCE: edgebll_reduce(work); break;
    case KERNEL_GEMM: edgebll_gemm(work); break;
    case KERNEL_CONV:
        if (work->kernel.flags) edgebll_conv_columns(work);
        else edgebll_conv(work);
        break;
    default: run_gather(work); break;
    }
}

void edgebll_plan_run(const struct edgebll_plan *plan, void *state, void *arena, struct edgebll_work *work)
{
    const uint8_t *at = plan->bytes + plan->kernels_at, *end = plan->bytes + plan->length - CRC_BYTES;
    uint32_t i;
    int error;
    work->until_hook = HOOK_EVERY;
    work->region[ARENA] = arena;
    work->region[STATE] = state;
    /* Never written: the check has looked. */
    work->region[CONSTANTS] = (uint8_t *)(uintptr_t)(plan->bytes + plan->constants_at);
    for (i = 0; i < EDGEBLL_REGISTERS; i++) {
        work->lane[i].at = (uint8_t *)work->registers[i];
        work->lane[i].step = 1;
    }
    for (i = 0; i < plan->kernels; i++) {
        at = edgebll_decode(&work->kernel, at, end, plan->width, &error);
        if (at == NULL) return; /* the plan was changed after its check */
        run_kernel(work);
    }
}
