/* Element programs: each instruction runs over a strip of elements before the next one does, so that its decoding costs little. */
#define EDGEBLL_SELDOM
#include <string.h>

#include "plan_words.h"

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

static void load(const struct edgebll_lane *d, const struct edgebll_lane *a, uint32_t where, uint32_t n)
{
    const uint8_t *at = a->at;
    const int32_t way = a->step * (int32_t)edgebll_size_of(where);
    float *to = (float *)(void *)d->at;
    for (; n != 0; n--, to += d->step, at += way) {
        int32_t whole;
        if (edgebll_size_of(where) == 1) {
            *to = edgebll_is_int8(where) ? (float)*at - (float)((*at & 128) * 2) : (float)*at;
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
    for (; n != 0; n--, at += a->step, to += d->step * (int32_t)size) {
        int32_t whole[2];
        whole[0] = size != 1 ? cut(*at, -2147483648.0f, 2147483520.0f) : edgebll_is_int8(where) ? edgebll_to_int8(*at) : cut(*at, 0.0f, 255.0f);
        whole[1] = whole[0] < 0 ? -1 : 0;
        if (where >> 2 == FLOAT32) memcpy(to, at, 4);
        else if (size == 1) *to = (uint8_t)whole[0];
        else memcpy(to, whole, size);
    }
}

/* What is asked for less often, one element at a time. */
static float value_of(int code, float a, float b, float c)
{
    switch (code) {
    case DIV: return a / b;
    case MAX: return a < b ? b : a;
    case MIN: return b < a ? b : a;
    case GREATER: return a > b ? 1.0f : 0.0f;
    case LESS: return a < b ? 1.0f : 0.0f;
    case EQUAL: return a == b ? 1.0f : 0.0f;
    case NEG: return -a;
    case ABS: return a < 0.0f ? -a : a == 0.0f ? 0.0f : a;
    case FLOOR: return edgebll_floor(a);
    case SQRT: return edgebll_sqrt(a);
    case RECIP: return 1.0f / a;
    case EXP: return edgebll_exp(a);
    case LOG: return edgebll_log(a);
#ifndef EDGEBLL_WITHOUT_INT8
    case TO_INT8: return (float)edgebll_to_int8(a);
#endif
    default: return a != 0.0f ? b : c; /* SELECT */
    }
}

static void apply(const struct instruction *i, const struct edgebll_lane *lane, uint32_t n)
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
    default: EACH3(value_of(i->code, *a, *b, *c));
    }
}

void edgebll_program(struct edgebll_work *work, int first, int last, uint32_t n)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    for (; first < last; first++) {
        const struct instruction i = edgebll_instruction(kernel, first);
        if (i.code == LOAD) load(&work->lane[i.d], &work->lane[i.a], kernel->operand[i.a - EDGEBLL_REGISTERS].where, n);
        else if (i.code == STORE) store(&work->lane[i.d], kernel->operand[i.d - EDGEBLL_REGISTERS].where, &work->lane[i.a], n);
        else apply(&i, work->lane, n);
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
