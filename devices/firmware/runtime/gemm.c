/* Sums of products over one loop: matrix products of every layout, and updates by them. */
#include "plan_words.h"

/* Four sums at a time over A, which they share: of 20 instructions that way 8 are arithmetic. Each sum has its own order. */
static void four_sums(float *sums, const float *a, int32_t step_a, const float *b, int32_t step_b, int32_t across, uint32_t k)
{
    const float *b1 = b + across, *b2 = b1 + across, *b3 = b2 + across;
    float s0 = -0.0f, s1 = -0.0f, s2 = -0.0f, s3 = -0.0f;
    if (step_a == 1 && step_b == 1) {
        for (; k != 0; k--) {
            float v = *a++;
            s0 = s0 + v * *b++;
            s1 = s1 + v * *b1++;
            s2 = s2 + v * *b2++;
            s3 = s3 + v * *b3++;
        }
    } else if (across == 1) {
        for (; k != 0; k--) {
            float v = *a;
            s0 = s0 + v * b[0];
            s1 = s1 + v * b[1];
            s2 = s2 + v * b[2];
            s3 = s3 + v * b[3];
            a += step_a, b += step_b;
        }
    } else {
        for (; k != 0; k--) {
            float v = *a;
            s0 = s0 + v * *b;
            s1 = s1 + v * *b1;
            s2 = s2 + v * *b2;
            s3 = s3 + v * *b3;
            a += step_a, b += step_b, b1 += step_b, b2 += step_b, b3 += step_b;
        }
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

static void sums(float *to, const float *a, int32_t step_a, const float *b, int32_t step_b, int32_t across, uint32_t k, uint32_t n)
{
    for (; n >= 4; n -= 4, to += 4, b += 4 * across) four_sums(to, a, step_a, b, step_b, across, k);
    for (; n != 0; n--, b += across) {
        const float *one = a, *other = b;
        float sum = -0.0f;
        uint32_t i;
        for (i = k; i != 0; i--, one += step_a, other += step_b) sum = sum + *one * *other;
        *to++ = sum;
    }
}

/* `w = w - a * b` along a row that lies in one piece, the update of a weight by one sample: no strip of sums in between. */
static int rank_one(struct edgebll_work *work, float a, const float *b)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    int along = kernel->rank - 1;
    struct instruction i;
    float *w;
    uint32_t n = kernel->extent[along];
    if (kernel->special[0] != 1 || kernel->instructions != 1 || kernel->b.stride[along] != 1) return 0;
    i = edgebll_instruction(kernel, 0);
    if (i.code != SUB || i.d < EDGEBLL_REGISTERS || i.d != i.a || i.b != 0 || work->lane[i.d].step != 1) return 0;
    w = (float *)(void *)work->lane[i.d].at;
    for (; n >= 4; n -= 4, w += 4, b += 4) {
        float w0 = w[0] - a * b[0], w1 = w[1] - a * b[1], w2 = w[2] - a * b[2], w3 = w[3] - a * b[3];
        w[0] = w0, w[1] = w1, w[2] = w2, w[3] = w3;
    }
    for (; n != 0; n--, w++, b++) *w = *w - a * *b;
    return 1;
}

void edgebll_gemm(struct edgebll_work *work)
{
    const struct edgebll_kernel *kernel = &work->kernel;
    int along = kernel->rank - 1;
    uint32_t index[EDGEBLL_MAX_RANK] = {0}, left, n, k = kernel->special[0];
    int32_t step_a = kernel->a.stride[kernel->rank], step_b = kernel->b.stride[kernel->rank], across = kernel->b.stride[along];
    do {
        const float *a = (const float *)(const void *)edgebll_at(work, &kernel->a, index, along);
        const float *b = (const float *)(const void *)edgebll_at(work, &kernel->b, index, along);
        edgebll_point(work, index, along);
        edgebll_tick(work, kernel->extent[along] * (k < 8192 ? k : 8192));
        if (rank_one(work, *a, b)) continue;
        for (left = kernel->extent[along]; left != 0; left -= n) {
            n = left < EDGEBLL_STRIP ? left : EDGEBLL_STRIP;
            sums(work->registers[0], a, step_a, b, step_b, across, k, n);
            b += (int32_t)n * across;
            edgebll_program(work, 0, kernel->instructions, n);
            if (left > n) edgebll_advance(work, n);
        }
    } while (edgebll_next(index, kernel->extent, 0, along));
}
