/* Where the operands of a kernel are while its loops go on. */

#define EDGEBLL_OFTEN
#include "plan_words.h"

static int32_t bytes_of(uint32_t elements, uint32_t where)
{
    return (int32_t)(elements * edgebll_size_of(where));
}

static void start_operand(struct edgebll_work *work, int number, int along)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    const struct edgebll_operand *operand = &kernel->operand[number];
    uint32_t back = 0; /* what the inner loops moved, modulo 2^32: strides of loops of extent 1 go nowhere */
    int loop;
    work->row[number] = work->region[operand->where & 3] + operand->offset * edgebll_size_of(operand->where);
    for (loop = kernel->rank - 1; loop >= 0; loop--) {
        if (loop == along) continue;
        work->carry[loop][number] = bytes_of((uint32_t)operand->stride[loop] - back, operand->where);
        back += (kernel->extent[loop] - 1) * (uint32_t)operand->stride[loop];
    }
}

void edgebll_start(struct edgebll_work *work, int along)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    int i;
    work->along = along;
    for (i = 0; i < EDGEBLL_MAX_RANK; i++) work->index[i] = 0;
    for (i = 0; i < kernel->operands; i++) {
        start_operand(work, i, along);
        work->lane[EDGEBLL_REGISTERS + i].step = kernel->operand[i].stride[along];
    }
    if (edgebll_multiplies(kernel)) {
        start_operand(work, EDGEBLL_FACTOR_A, along);
        start_operand(work, EDGEBLL_FACTOR_B, along);
    }
}

int edgebll_next(struct edgebll_work *work, int first, int last)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    int loop;
    for (loop = last - 1; loop >= first; loop--) {
        if (loop == work->along) continue;
        if (++work->index[loop] < kernel->extent[loop]) {
            const int32_t *carry = work->carry[loop];
            uint8_t **row = work->row, **end = row + kernel->operands;
            while (row < end) *row++ += *carry++;
            if (edgebll_multiplies(kernel)) {
                work->row[EDGEBLL_FACTOR_A] += work->carry[loop][EDGEBLL_FACTOR_A];
                work->row[EDGEBLL_FACTOR_B] += work->carry[loop][EDGEBLL_FACTOR_B];
            }
            return 1;
        }
        work->index[loop] = 0;
    }
    return 0;
}

void edgebll_lanes(struct edgebll_work *work, uint32_t elements)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    struct edgebll_lane *lane = &work->lane[EDGEBLL_REGISTERS];
    int i;
    for (i = 0; i < kernel->operands; i++, lane++) {
        lane->at = work->row[i];
        if (elements) lane->at += bytes_of(elements * (uint32_t)lane->step, kernel->operand[i].where);
    }
}
