/* The instructions that programs have most of: a loop for each, several elements at a time where all lie in line. */
#define EDGEBLL_OFTEN
#define EDGEBLL_SIMPLE_LOOPS
#include "plan_words.h"

#ifndef EDGEBLL_SMALL

/* d, a, b and c with their steps; a value is stored before the next is read, as the specification says. */
#define EACH(value)                                         \
    for (; n != 0; n--) {                                   \
        *d = (value);                                       \
        d += step_d, a += step_a;                           \
    }                                                       \
    break
#define EACH2(value)                                        \
    for (; n != 0; n--) {                                   \
        *d = (value);                                       \
        d += step_d, a += step_a, b += step_b;              \
    }                                                       \
    break
#define EACH3(value)                                        \
    for (; n != 0; n--) {                                   \
        *d = (value);                                       \
        d += step_d, a += step_a, b += step_b, c += step_c; \
    }                                                       \
    break
/* Four at a time where all lie in line. What is written is the same view as what is read or apart from it; `k` is the number of one. */
#define FOUR(in_line, value)                                                                                  \
    if (in_line) {                                                                                            \
        for (; n >= 4; n -= 4, d += 4, a += 4 * step_a, b += 4, c += 4) {                                     \
            float r0, r1, r2, r3;                                                                             \
            { enum { k = 0 }; r0 = (value); }                                                                 \
            { enum { k = 1 }; r1 = (value); }                                                                 \
            { enum { k = 2 }; r2 = (value); }                                                                 \
            { enum { k = 3 }; r3 = (value); }                                                                 \
            d[0] = r0, d[1] = r1, d[2] = r2, d[3] = r3;                                                       \
        }                                                                                                     \
    }

void edgebll_apply(const struct instruction *i, const struct edgebll_lane *lane, uint32_t n)
{
    /* Products are the same both ways round: a scale is looked for on the left. */
    const int turn = (i->code == MUL || i->code == MULADD || i->code == MULSUB) && lane[i->b].step == 0;
    const struct edgebll_lane *left = &lane[turn ? i->b : i->a], *right = &lane[turn ? i->a : i->b];
    float *d = (float *)(void *)lane[i->d].at;
    const float *a = (const float *)(const void *)left->at;
    const float *b = (const float *)(const void *)right->at;
    const float *c = (const float *)(const void *)lane[i->c].at;
    const int32_t step_d = lane[i->d].step, step_a = left->step, step_b = right->step, step_c = lane[i->c].step;
    const int in_line = step_d == 1 && step_b == 1;
    switch (i->code) {
    case MOVE: EACH(*a);
    case ADD: FOUR(in_line && step_a == 1, a[k] + b[k]) EACH2(*a + *b);
    case SUB: EACH2(*a - *b);
    case MUL: EACH2(*a * *b);
    case RELU: EACH(*a < 0.0f ? 0.0f : *a);
    case GATE: EACH2(*b > 0.0f ? *a : 0.0f);
    case MULADD: FOUR(in_line && step_a == 0 && step_c == 1, *a * b[k] + c[k]) EACH3(*a * *b + *c);
    case MULSUB: FOUR(in_line && step_a == 0 && step_c == 1, c[k] - *a * b[k]) EACH3(*c - *a * *b);
    default: edgebll_each(i, lane, n);
    }
}

uint32_t edgebll_strip(const struct edgebll_work *work)
{
    int number;
    for (number = 0; number < work->kernel.instructions; number++) {
        const struct instruction i = edgebll_instruction(&work->kernel, number);
        /* Slot 0 also stands where an opcode reads less: then this only goes in strips without need. */
        if (i.d < EDGEBLL_REGISTERS || i.a < EDGEBLL_REGISTERS) return EDGEBLL_STRIP;
        if (i.code >= ADD && (i.b < EDGEBLL_REGISTERS || (i.code >= SELECT && i.c < EDGEBLL_REGISTERS))) {
            if (!(i.code >= NEG && i.code <= RELU)) return EDGEBLL_STRIP;
        }
    }
    return 0xFFFFFFFFu;
}

int edgebll_stored(const struct edgebll_kernel *kernel)
{
    const struct instruction i = edgebll_instruction(kernel, 0);
    return kernel->instructions == 1 && i.code == MOVE && i.a == 0 && i.d >= EDGEBLL_REGISTERS ? i.d - EDGEBLL_REGISTERS : -1;
}

#endif
