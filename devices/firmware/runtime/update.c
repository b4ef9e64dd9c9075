/* Updates of weights by gradient descent, recognised in element programs and done in one pass where weights lie in line: with or without weight
 * decay, and plain, with momentum, or with Nesterov's momentum. The order of operations is that of the program. */
#include "plan_words.h"

#ifndef EDGEBLL_SMALL

/* Of an instruction that adds a scaled vector: the slots of both. 0 where neither factor stands still along the lanes. */
static int scaled(const struct edgebll_kernel *kernel, const struct instruction *i, int along, int *vector, int *scale)
{
    int turn;
    for (turn = 0; turn < 2; turn++) {
        *scale = turn ? i->b : i->a;
        *vector = turn ? i->a : i->b;
        if (*scale >= EDGEBLL_REGISTERS && kernel->operand[*scale - EDGEBLL_REGISTERS].stride[along] == 0) return 1;
    }
    return 0;
}

/* Whether instruction `number` is d = c + scale * vector (MULADD) or d = c - scale * vector (MULSUB); any vector where it is -1. */
static int is_step(const struct edgebll_work *work, int number, int code, int d, int c, int *vector, int *scale)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    struct instruction i;
    int found;
    if (number >= kernel->instructions) return 0;
    i = edgebll_instruction(kernel, number);
    if (i.code != code || (d >= 0 ? i.d != d : i.d < EDGEBLL_REGISTERS) || (c >= 0 ? i.c != c : i.c != i.d)) return 0;
    if (!scaled(kernel, &i, work->along, &found, scale) || (*vector >= 0 && found != *vector)) return 0;
    *vector = found;
    return 1;
}

static int in_line(const struct edgebll_work *work, int slot)
{
    return slot >= EDGEBLL_REGISTERS && work->kernel.operand[slot - EDGEBLL_REGISTERS].stride[work->along] == 1;
}

int edgebll_is_update(const struct edgebll_work *work, struct edgebll_update *u)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    int number = 0, w = -1, m = -1, same = 0, scale;
    if (kernel->instructions > 4 || kernel->extent[work->along] < 2) return 0;
    u->decay = u->momentum = u->nesterov = u->rate = 0;
    if (kernel->instructions == 1) {
        /* Gradients may have been scaled before: w = w - gradient. */
        const struct instruction i = edgebll_instruction(kernel, 0);
        u->w = i.d;
        if (i.code == SUB && i.a == i.d && i.b == 0) return in_line(work, i.d);
    }
    if (is_step(work, number, MULADD, 0, 0, &w, &u->decay)) number++;
    else u->decay = 0;
    if (number < kernel->instructions) m = edgebll_instruction(kernel, number).d;
    if (m >= EDGEBLL_REGISTERS && is_step(work, number, MULADD, m, 0, &m, &u->momentum)) {
        number++;
        if (is_step(work, number, MULADD, 0, 0, &m, &scale) && scale == u->momentum) u->nesterov = 1, number++;
    } else u->momentum = 0;
    u->m = m;
    if (u->momentum && !u->nesterov) same = m;
    if (number != kernel->instructions - 1) return 0;
    u->w = edgebll_instruction(kernel, number).d;
    if (!is_step(work, number, MULSUB, -1, -1, &same, &u->rate) || !in_line(work, u->w)) return 0;
    if (u->decay && w != u->w) return 0;
    return !u->momentum || (in_line(work, m) && m != u->w && kernel->operand[m - EDGEBLL_REGISTERS].offset != kernel->operand[u->w - EDGEBLL_REGISTERS].offset);
}

#endif
