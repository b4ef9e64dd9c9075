/* Element programs: each instruction runs over a strip of elements before the next one does, so that its decoding costs little. */
#include <string.h>

#include "plan_words.h"

static void load(const struct edgebll_lane *d, const struct edgebll_lane *a, uint32_t where, uint32_t n)
{
    const uint8_t *at = a->at;
    const uint32_t size = edgebll_size_of(where);
    const int32_t way = a->step * (int32_t)size;
    float *to = (float *)(void *)d->at;
#ifndef EDGEBLL_WITHOUT_INT8
    if (edgebll_is_int8(where) || edgebll_is_int16(where)) {
        edgebll_load_short(d, a, where, n);
        return;
    }
#endif
    for (; n != 0; n--, to += d->step, at += way) {
        int32_t whole;
        if (size == 1) {
            *to = (float)*at;
            continue;
        }
        memcpy(&whole, at, 4);
        if (where >> 2 == FLOAT32) memcpy(to, &whole, 4);
        else *to = (float)whole;
    }
}

static int32_t cut(float value, float low, float high)
{
    if (value != value) return 0;
    return (int32_t)(value < low ? low : value > high ? high : value);
}

static void store(const struct edgebll_lane *d, uint32_t where, const struct edgebll_lane *a, uint32_t n)
{
    const float *at = (const float *)(const void *)a->at;
    const uint32_t size = edgebll_size_of(where);
    uint8_t *to = d->at;
#ifndef EDGEBLL_WITHOUT_INT8
    if (edgebll_is_int8(where) || edgebll_is_int16(where)) {
        edgebll_store_rounded(d, where, a, n);
        return;
    }
#endif
    for (; n != 0; n--, at += a->step, to += d->step * (int32_t)size) {
        int32_t whole[2];
        whole[0] = size == 1 ? cut(*at, 0.0f, 255.0f) : cut(*at, -2147483648.0f, 2147483520.0f);
        whole[1] = whole[0] < 0 ? -1 : 0;
        if (where >> 2 == FLOAT32) memcpy(to, at, 4);
        else if (size == 1) *to = (uint8_t)whole[0];
        else memcpy(to, whole, size);
    }
}

/* Only what the instruction reads is looked at: the others may lead anywhere. */
static float value_of(int code, const float *at_a, const float *b, const float *c)
{
    const float a = *at_a;
    switch (code) {
    case MOVE: return a;
    case ADD: return a + *b;
    case SUB: return a - *b;
    case MUL: return a * *b;
    case DIV: return a / *b;
    case MAX: return a < *b ? *b : a;
    case MIN: return *b < a ? *b : a;
    case GREATER: return a > *b ? 1.0f : 0.0f;
    case LESS: return a < *b ? 1.0f : 0.0f;
    case EQUAL: return a == *b ? 1.0f : 0.0f;
    case NEG: return -a;
    case ABS: return a < 0.0f ? -a : a == 0.0f ? 0.0f : a;
    case FLOOR: return edgebll_floor(a);
    case SQRT: return edgebll_sqrt(a);
    case RECIP: return 1.0f / a;
    case EXP: return edgebll_exp(a);
    case LOG: return edgebll_log(a);
#ifndef EDGEBLL_WITHOUT_INT8
    case TO_INT8: return edgebll_to_int8(a);
#endif
    case RELU: return a < 0.0f ? 0.0f : a;
    case GATE: return *b > 0.0f ? a : 0.0f;
    case SELECT: return a != 0.0f ? *b : *c;
    case MULADD: return a * *b + *c;
    default: return *c - a * *b; /* MULSUB */
    }
}

void edgebll_each(const struct instruction *i, const struct edgebll_lane *lane, uint32_t n)
{
    float *d = (float *)(void *)lane[i->d].at;
    const float *a = (const float *)(const void *)lane[i->a].at;
    const float *b = (const float *)(const void *)lane[i->b].at;
    const float *c = (const float *)(const void *)lane[i->c].at;
    const int32_t step_d = lane[i->d].step, step_a = lane[i->a].step, step_b = lane[i->b].step, step_c = lane[i->c].step;
    /* A value is stored before the next is read, as the specification says. */
    for (; n != 0; n--, d += step_d, a += step_a, b += step_b, c += step_c) *d = value_of(i->code, a, b, c);
}

void edgebll_program(struct edgebll_work *work, int first, int last, uint32_t n)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    for (; first < last; first++) {
        const struct instruction i = edgebll_instruction(kernel, first);
        if (i.code == LOAD) load(&work->lane[i.d], &work->lane[i.a], kernel->operand[i.a - EDGEBLL_REGISTERS].where, n);
        else if (i.code == STORE) store(&work->lane[i.d], kernel->operand[i.d - EDGEBLL_REGISTERS].where, &work->lane[i.a], n);
        else edgebll_apply(&i, work->lane, n);
    }
}
