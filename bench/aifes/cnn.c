/* Two convolutions, each with a ReLU and max pooling, and a dense layer, as `cnn` of tests/support/small_networks.py; channels first. */
#include "aifes.h"

#define CONVOLUTION(channels) AILAYER_CONV2D_F32_A(channels, HW(3, 3), HW(1, 1), HW(1, 1), HW(1, 1))
#define POOLING AILAYER_MAXPOOL2D_F32_A(HW(2, 2), HW(2, 2), HW(0, 0))

ailayer_t *layers(ailayer_t *input);

ailayer_t *layers(ailayer_t *input)
{
    static ailayer_conv2d_f32_t one = CONVOLUTION(8), two = CONVOLUTION(16);
    static ailayer_relu_f32_t relu_one = AILAYER_RELU_F32_A(), relu_two = AILAYER_RELU_F32_A();
    static ailayer_maxpool2d_f32_t pool_one = POOLING, pool_two = POOLING;
    static ailayer_flatten_f32_t flatten = AILAYER_FLATTEN_F32_A();
    static ailayer_dense_f32_t dense = AILAYER_DENSE_F32_A(10);
    ailayer_t *layer = ailayer_relu_f32_default(&relu_one, ailayer_conv2d_chw_f32_default(&one, input));
    layer = ailayer_maxpool2d_chw_f32_default(&pool_one, layer);
    layer = ailayer_relu_f32_default(&relu_two, ailayer_conv2d_chw_f32_default(&two, layer));
    layer = ailayer_maxpool2d_chw_f32_default(&pool_two, layer);
    return ailayer_dense_f32_default(&dense, ailayer_flatten_f32_default(&flatten, layer));
}
