/* Sums of products by Helium, the vector instructions of a Cortex-M55 and its like: four lanes, or four terms, at once. Fast profile alone. */
#define EDGEBLL_OFTEN
#include "sum_loops.h"

#ifdef EDGEBLL_VECTORS
#include <arm_mve.h>

static void keep(float *to, int32_t step, float32x4_t sums)
{
    to[0] = vgetq_lane_f32(sums, 0), to[step] = vgetq_lane_f32(sums, 1);
    to[2 * step] = vgetq_lane_f32(sums, 2), to[3 * step] = vgetq_lane_f32(sums, 3);
}

void edgebll_vector_eights(const struct edgebll_products *p, const float *lanes, float *to, int32_t step, uint32_t groups)
{
    const int32_t way_a = p->loops.way_a, way_b = p->loops.way_b;
    for (; groups != 0; groups--, lanes += 8, to += 8 * step) {
        const float *a = edgebll_floats(p->shared), *b = lanes;
        float32x4_t low = vdupq_n_f32(-0.0f), high = low;
        ALL_TERMS((low = vfmaq_n_f32(low, vld1q_f32(b), *a), high = vfmaq_n_f32(high, vld1q_f32(b + 4), *a), MOVE_TWO(way_a, way_b)),
                  MOVE_TWO(skip_a, skip_b));
        keep(to, step, low);
        keep(to + 4 * step, step, high);
    }
}

void edgebll_vector_fours(const struct edgebll_products *p, const float *lanes, float *to, int32_t step, uint32_t groups)
{
    const int32_t way_a = p->loops.way_a, way_b = p->loops.way_b;
    for (; groups != 0; groups--, lanes += 4, to += 4 * step) {
        const float *a = edgebll_floats(p->shared), *b = lanes;
        float32x4_t sums = vdupq_n_f32(-0.0f);
        ALL_TERMS((sums = vfmaq_n_f32(sums, vld1q_f32(b), *a), MOVE_TWO(way_a, way_b)), MOVE_TWO(skip_a, skip_b));
        keep(to, step, sums);
    }
}

static float total(float32x4_t sums)
{
    return (vgetq_lane_f32(sums, 0) + vgetq_lane_f32(sums, 1)) + (vgetq_lane_f32(sums, 2) + vgetq_lane_f32(sums, 3));
}

void edgebll_vector_lines(const struct edgebll_products *p, const float *lanes, float *to, int32_t step, uint32_t groups)
{
    const int32_t inner = p->loops.count[2], beyond = -inner & 3; /* the last terms of a row may be fewer than four: others count as 0 */
    const int32_t row_a = p->loops.skip_a[1] - beyond, row_b = p->loops.skip_b[1] - beyond;
    for (; groups != 0; groups--, lanes += 4 * p->across, to += 4 * step) {
        const float *a = edgebll_floats(p->shared), *b0 = lanes, *b1 = b0 + p->across, *b2 = b1 + p->across, *b3 = b2 + p->across;
        float32x4_t s0 = vdupq_n_f32(-0.0f), s1 = s0, s2 = s0, s3 = s0;
        int32_t outer, middle, left;
        for (outer = p->loops.count[0]; outer != 0; outer--) {
            for (middle = p->loops.count[1]; middle != 0; middle--) {
                for (left = inner; left > 0; left -= 4) {
                    const mve_pred16_t there = vctp32q((uint32_t)left);
                    const float32x4_t v = vld1q_z_f32(a, there);
                    s0 = vfmaq_f32(s0, v, vld1q_z_f32(b0, there)), s1 = vfmaq_f32(s1, v, vld1q_z_f32(b1, there));
                    s2 = vfmaq_f32(s2, v, vld1q_z_f32(b2, there)), s3 = vfmaq_f32(s3, v, vld1q_z_f32(b3, there));
                    MOVE_FIVE(4, 4);
                }
                MOVE_FIVE(row_a, row_b);
            }
            MOVE_FIVE(p->loops.skip_a[0], p->loops.skip_b[0]);
        }
        to[0] = total(s0), to[step] = total(s1), to[2 * step] = total(s2), to[3 * step] = total(s3);
    }
}

#endif
