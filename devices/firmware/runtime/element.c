/* Element programs: each instruction runs over a strip of elements before the next one does, so that its decoding costs little. */
#include <string.h>

#include "plan_words.h"

/* d, a, b and c with their steps; a value is stored before the next is read, as the specification says. */
#define EACH(value)                                        \
    for (; n != 0; n--) {                                  \
        *d = (value);                                      \
        d += step_d, a += step_a;                          \
    }                                                      \
    break
#define EACH2(value)                                       \
    for (; n != 0; n--) {                                  \
        *d = (value);                                      \
        d += step_d, a += step_a, b += step_b;             \
    }                                                      \
    break
#define EACH3(value)                                       \
    for (; n != 0; n--) {                                  \
        *d = (value);                                      \
        d += step_d, a += step_a, b += step_b, c += step_c; \
    }                                                      \
    break

static void load(const struct edgebll_lane *d, const struct edgebll_lane *a, int dtype, uint32_t n)
{
    const uint8_t *at = a->at;
    float *to = (float *)(void *)d->at;
    for (; n != 0; n--, to += d->step, at += a->step * (int32_t)edgebll_size_of(dtype)) {
        int32_t whole;
        memcpy(&whole, at, dtype == UINT8 ? 1 : 4);
        if (dtype == FLOAT32) memcpy(to, at, 4);
        else *to = dtype == UINT8 ? (float)*at : (float)whole;
    }
}

static int32_t cut(float value, float low, float high)
{
    if (value != value) return 0;
    return (int32_t)(value < low ? low : value > high ? high : value);
}

static void store(const struct edgebll_lane *d, int dtype, const struct edgebll_lane *a, uint32_t n)
{
    const float *at = (const float *)(const void *)a->at;
    uint8_t *to = d->at;
    for (; n != 0; n--, at += a->step, to += d->step * (int32_t)edgebll_size_of(dtype)) {
        int32_t whole[2];
        whole[0] = dtype == UINT8 ? cut(*at, 0.0f, 255.0f) : cut(*at, -2147483648.0f, 2147483520.0f);
        whole[1] = whole[0] < 0 ? -1 : 0;
        if (dtype == FLOAT32) memcpy(to, at, 4);
        else if (dtype == UINT8) *to = (uint8_t)whole[0];
        else memcpy(to, whole, edgebll_size_of(dtype));
    }
}

static void apply(const struct instruction *i, struct edgebll_lane *lane, uint32_t n)
{
    float *d = (float *)(void *)lane[i->d].at;
    const float *a = (const float *)(const void *)lane[i->a].at;
    const float *b = (const float *)(const void *)lane[i->b].at;
    const float *c = (const float *)(const void *)lane[i->c].at;
    const int32_t step_d = lane[i->d].step, step_a = lane[i->a].step, step_b = lane[i->b].step, step_c = lane[i->c].step;
    switch (i->code) {
    case MOVE: EACH(*a);
    case ADD: EACH2(*a + *b);
    case SUB: EACH2(*a - *b);
    case MUL: EACH2(*a * *b);
    case DIV: EACH2(*a / *b);
    case MAX: EACH2(*a < *b ? *b : *a);
    case MIN: EACH2(*b < *a ? *b : *a);
    case GREATER: EACH2(*a > *b ? 1.0f : 0.0f);
    case LESS: EACH2(*a < *b ? 1.0f : 0.0f);
    case EQUAL: EACH2(*a == *b ? 1.0f : 0.0f);
    case NEG: EACH(-*a);
    case ABS: EACH(*a < 0.0f ? -*a : *a == 0.0f ? 0.0f : *a);
    case FLOOR: EACH(edgebll_floor(*a));
    case SQRT: EACH(edgebll_sqrt(*a));
    case RECIP: EACH(1.0f / *a);
    case EXP: EACH(edgebll_exp(*a));
    case LOG: EACH(edgebll_log(*a));
    case RELU: EACH(*a < 0.0f ? 0.0f : *a);
    case GATE: EACH2(*b > 0.0f ? *a : 0.0f);
    case SELECT: EACH3(*a != 0.0f ? *b : *c);
    case MULADD: EACH3(*a * *b + *c);
    case MULSUB: EACH3(*c - *a * *b);
    default: break;
    }
}

void edgebll_program(struct edgebll_work *work, int first, int last, uint32_t n)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    for (; first < last; first++) {
        struct instruction i = edgebll_instruction(kernel, first);
        if (i.code == LOAD) load(&work->lane[i.d], &work->lane[i.a], kernel->operand[i.a - EDGEBLL_REGISTERS].dtype, n);
        else if (i.code == STORE) store(&work->lane[i.d], kernel->operand[i.d - EDGEBLL_REGISTERS].dtype, &work->lane[i.a], n);
        else apply(&i, work->lane, n);
    }
}
