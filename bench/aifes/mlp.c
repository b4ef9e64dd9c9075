/* 64-32-16-10 with ReLUs, as `mlp` of tests/support/small_networks.py. */
#include "aifes.h"

ailayer_t *layers(ailayer_t *input);

ailayer_t *layers(ailayer_t *input)
{
    static ailayer_dense_f32_t one = AILAYER_DENSE_F32_A(32), two = AILAYER_DENSE_F32_A(16), three = AILAYER_DENSE_F32_A(10);
    static ailayer_relu_f32_t relu_one = AILAYER_RELU_F32_A(), relu_two = AILAYER_RELU_F32_A();
    ailayer_t *layer = ailayer_relu_f32_default(&relu_one, ailayer_dense_f32_default(&one, input));
    layer = ailayer_relu_f32_default(&relu_two, ailayer_dense_f32_default(&two, layer));
    return ailayer_dense_f32_default(&three, layer);
}
