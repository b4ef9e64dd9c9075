/*
 * The MLP 64-32-16-10 in AIfES, one sample a step, on an emulated Cortex-M4F: for `make bench-aifes`. AIfES is not part of edgebll;
 * the guide docs/how-to/compare-with-aifes.md says how to get it, and under which licence it is.
 *
 * Says over semihosting: memory for weights, memory for training, ticks of one step.
 */
#include <stdint.h>
#include <string.h>

#include "aifes.h"

extern uint32_t stack_top, data_load, data_start, data_end, bss_start, bss_end;
void reset(void);
static void stop(void);

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_top, (void *)reset, (void *)stop, (void *)stop, (void *)stop, (void *)stop, (void *)stop};
static volatile uint32_t *const systick = (volatile uint32_t *)0xE000E010u;
static uint64_t parameters[2048], training[8192];

static uint32_t semihosting(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void say(const char *name, uint32_t value)
{
    char text[32];
    int at = 0, shift;
    while (*name) text[at++] = *name++;
    text[at++] = '=';
    for (shift = 28; shift >= 0; shift -= 4) text[at++] = "0123456789abcdef"[value >> shift & 15];
    text[at++] = '\n';
    text[at] = 0;
    semihosting(4, text);
}

static void leave(uint32_t code)
{
    const uint32_t words[2] = {0x20026, code};
    semihosting(0x20, words);
    for (;;) {
    }
}

static void stop(void)
{
    say("fault", 1);
    leave(1);
}

static float spread(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(*seed >> 8) / 8388608.0f - 1.0f;
}

static void fill(aitensor_t *tensor, float size, uint32_t *seed)
{
    uint32_t i, count = 1;
    for (i = 0; i < tensor->dim; i++) count *= tensor->shape[i];
    for (i = 0; i < count; i++) ((float *)tensor->data)[i] = size * spread(seed);
}

static void train(void)
{
    static const uint16_t shape[] = {1, 64};
    uint16_t x_shape[] = {1, 64}, y_shape[] = {1, 10};
    static float x[64], y[10];
    static ailayer_dense_f32_t one = AILAYER_DENSE_F32_A(32), two = AILAYER_DENSE_F32_A(16), three = AILAYER_DENSE_F32_A(10);
    static ailayer_relu_f32_t relu_one = AILAYER_RELU_F32_A(), relu_two = AILAYER_RELU_F32_A();
    static ailayer_softmax_f32_t softmax = AILAYER_SOFTMAX_F32_A();
    static ailayer_input_f32_t input = AILAYER_INPUT_F32_A(2, shape);
    static ailoss_crossentropy_f32_t cross_entropy;
    static aiopti_sgd_f32_t sgd = AIOPTI_SGD_WITH_MOMENTUM_F32(0.01f, MOMENTUM);
    static aimodel_t model;
    aitensor_t x_tensor = AITENSOR_2D_F32(x_shape, x), y_tensor = AITENSOR_2D_F32(y_shape, y);
    ailayer_dense_f32_t *dense[] = {&one, &two, &three};
    uint32_t size, seed = 1, i, before, after;
    ailayer_t *layer;
    aiopti_t *optimizer = aiopti_sgd_f32_default(&sgd);
    model.input_layer = ailayer_input_f32_default(&input);
    layer = ailayer_relu_f32_default(&relu_one, ailayer_dense_f32_default(&one, model.input_layer));
    layer = ailayer_relu_f32_default(&relu_two, ailayer_dense_f32_default(&two, layer));
    model.output_layer = ailayer_softmax_f32_default(&softmax, ailayer_dense_f32_default(&three, layer));
    model.loss = ailoss_crossentropy_f32_default(&cross_entropy, model.output_layer);
    aialgo_compile_model(&model);
    say("parameters", size = aialgo_sizeof_parameter_memory(&model));
    if (size > sizeof parameters) leave(1);
    aialgo_distribute_parameter_memory(&model, parameters, size);
    for (i = 0; i < 3; i++) {
        fill(&dense[i]->weights, 0.2f, &seed);
        fill(&dense[i]->bias, 0.0f, &seed);
    }
    say("training", size = aialgo_sizeof_training_memory(&model, optimizer));
    if (size > sizeof training) leave(1);
    aialgo_schedule_training_memory(&model, optimizer, training, size);
    aialgo_init_model_for_training(&model, optimizer);
    for (i = 0; i < 64; i++) x[i] = spread(&seed);
    y[3] = 1.0f;
    systick[1] = 0xFFFFFF;
    for (i = 0; i < 3; i++) {
        systick[2] = 0;
        systick[0] = 5;
        before = systick[2];
        aialgo_train_model(&model, &x_tensor, &y_tensor, optimizer, 1);
        after = systick[2];
    }
    say("ticks", (before - after) & 0xFFFFFF);
}

void reset(void)
{
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
    __asm__ volatile("dsb\n isb");
    memcpy(&data_start, &data_load, (size_t)((uint8_t *)&data_end - (uint8_t *)&data_start));
    memset(&bss_start, 0, (size_t)((uint8_t *)&bss_end - (uint8_t *)&bss_start));
    train();
    leave(0);
}
