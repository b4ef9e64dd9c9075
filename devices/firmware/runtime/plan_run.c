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

static void run_element(struct edgebll_work *work)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    int along = kernel->rank - 1;
    uint32_t at, n, strip = edgebll_strip(work);
    do {
        for (at = 0; at < kernel->extent[along]; at += n) {
            n = kernel->extent[along] - at;
            if (n > strip) n = strip;
            edgebll_lanes(work, at);
            edgebll_program(work, 0, kernel->instructions, n);
            edgebll_tick(work, n * kernel->instructions);
        }
    } while (edgebll_next(work, 0, along));
}

/* The number of the table's row that row r asks for. */
static uint32_t row_of(const struct edgebll_work *work, uint32_t r)
{
    const struct edgebll_operand *index = &work->kernel.operand[0];
    const uint8_t *at = work->row[0] + (int32_t)r * index->stride[0] * (int32_t)edgebll_size_of(index->where);
    int32_t row;
    if (index->where >> 2 == UINT8) row = *at;
    else memcpy(&row, at, 4);
    if (row < 0) return 0;
    return (uint32_t)row < work->kernel.special[0] ? (uint32_t)row : work->kernel.special[0] - 1;
}

static void run_gather(struct edgebll_work *work)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    const int32_t *table_stride = kernel->operand[1].stride, *out_stride = kernel->operand[2].stride;
    uint32_t r, c;
    for (r = 0; r < kernel->extent[0]; r++) {
        float *table = (float *)(void *)work->row[1] + (int32_t)row_of(work, r) * table_stride[0];
        float *out = (float *)(void *)work->row[2] + (int32_t)r * out_stride[0];
        for (c = 0; c < kernel->extent[1]; c++, table += table_stride[1], out += out_stride[1]) {
            if (kernel->flags) *table = *table + *out;
            else *out = *table;
        }
        edgebll_tick(work, kernel->extent[1]);
    }
}

static void run_kernel(struct edgebll_work *work)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    if (kernel->opcode != KERNEL_CONV) edgebll_start(work, kernel->rank - 1);
    switch (kernel->opcode) {
    case KERNEL_ELEMENT: run_element(work); break;
    case KERNEL_REDUCE: edgebll_reduce(work); break;
    case KERNEL_GEMM: edgebll_gemm(work); break;
    case KERNEL_CONV: edgebll_conv(work); break;
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
