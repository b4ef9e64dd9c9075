/* The loops of updates: one pass over the weights of a row, and over their momentum where they have one. */
#define EDGEBLL_OFTEN
#define EDGEBLL_SIMPLE_LOOPS
#include "plan_words.h"

#ifndef EDGEBLL_SMALL

#define EACH(decayed, moved, change)         \
    for (; n != 0; n--) {                    \
        float d = scale * *g++, v = *w;      \
        decayed;                             \
        moved;                               \
        *w++ = v - (change);                 \
    }                                        \
    break
#define DECAY d = v * decay + d
#define MOVE_ON *m++ = next
#define MOMENTUM const float next = *m * momentum + d; MOVE_ON
#define NESTEROV const float next = *m * momentum + d; d = next * momentum + d; MOVE_ON

static const float *at(const struct edgebll_work *work, int slot)
{
    return (const float *)(const void *)work->row[slot - EDGEBLL_REGISTERS];
}

/* Four at a time: no other update is as frequent. */
static void subtract(float *w, float scale, const float *g, uint32_t n)
{
    for (; n >= 4; n -= 4, w += 4, g += 4) {
        const float w0 = w[0] - scale * g[0], w1 = w[1] - scale * g[1], w2 = w[2] - scale * g[2], w3 = w[3] - scale * g[3];
        w[0] = w0, w[1] = w1, w[2] = w2, w[3] = w3;
    }
    for (; n != 0; n--, w++, g++) *w = *w - scale * *g;
}

static void descend(struct edgebll_work *work, const struct edgebll_update *u, float scale, const float *g, uint32_t from, uint32_t n)
{
    const float rate = *at(work, u->rate), decay = u->decay ? *at(work, u->decay) : 0.0f;
    const float momentum = u->momentum ? *at(work, u->momentum) : 0.0f;
    float *w = (float *)(void *)work->row[u->w - EDGEBLL_REGISTERS] + from;
    float *m = u->momentum ? (float *)(void *)work->row[u->m - EDGEBLL_REGISTERS] + from : w;
    switch ((u->decay != 0) + 2 * (u->momentum != 0) + 2 * u->nesterov) {
    case 0: EACH((void)0, (void)0, rate * d);
    case 1: EACH(DECAY, (void)0, rate * d);
    case 2: EACH((void)0, MOMENTUM, rate * next);
    case 3: EACH(DECAY, MOMENTUM, rate * next);
    case 4: EACH((void)0, NESTEROV, rate * d);
    default: EACH(DECAY, NESTEROV, rate * d);
    }
}

void edgebll_do_update(struct edgebll_work *work, const struct edgebll_update *u, float scale, const float *g, uint32_t from, uint32_t n)
{
    if (u->rate) descend(work, u, scale, g, from, n);
    else subtract((float *)(void *)work->row[u->w - EDGEBLL_REGISTERS] + from, scale, g, n);
}

#endif
