/*
 * Training steps of AIfES, one sample a step, on an emulated Cortex-M4F: for `make bench-aifes`. AIfES is not part of edgebll;
 * the guide docs/how-to/compare-with-aifes.md says how to get it, and under which licence it is.
 *
 * Says over semihosting: memory for weights and for training, the probabilities of each step, its ticks, and the weights after the last.
 */
#include <stdint.h>
#include <string.h>

#include "aifes.h"
#include "given.h" /* INPUT_AXES, INPUT_SHAPE, X_NUMBERS, X, PARAMETERS, CLASS, STEPS, RATE, MOMENTUM */

extern uint32_t stack_top, data_load, data_start, data_end, bss_start, bss_end;
ailayer_t *layers(ailayer_t *input); /* of the network, up to the last dense one */
void reset(void);
static void stop(void);

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_top, (void *)reset, (void *)stop, (void *)stop, (void *)stop, (void *)stop, (void *)stop};
static volatile uint32_t *const systick = (volatile uint32_t *)0xE000E010u;
static uint64_t parameters[4096], training[16384];
static const float given[] = {PARAMETERS}, sample[X_NUMBERS] = {X};

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

static uint32_t numbers(const aitensor_t *tensor)
{
    uint32_t axis, count = 1;
    for (axis = 0; axis < tensor->dim; axis++) count *= tensor->shape[axis];
    return count;
}

static void say_each(const char *name, const aitensor_t *tensor)
{
    const uint32_t *words = tensor->data;
    uint32_t i;
    for (i = 0; i < numbers(tensor); i++) say(name, words[i]);
}

/* Every weight and bias in the order of the layers: `take` the given ones, or say what they are. */
static void each_parameter(aimodel_t *model, int take)
{
    ailayer_t *layer = model->input_layer;
    uint32_t tensor, at = 0;
    for (;; layer = layer->output_layer) {
        for (tensor = 0; tensor < layer->trainable_params_count; tensor++) {
            aitensor_t *found = layer->trainable_params[tensor];
            if (take) memcpy(found->data, given + at, 4 * numbers(found));
            else say_each("parameter", found);
            at += numbers(found);
        }
        if (layer == model->output_layer) break;
    }
    if (at != sizeof given / 4) leave(2);
}

static void train(void)
{
    static const uint16_t shape[] = INPUT_SHAPE;
    uint16_t x_shape[] = INPUT_SHAPE, y_shape[] = {1, 10};
    static float x[X_NUMBERS], y[10];
    static ailayer_softmax_f32_t softmax = AILAYER_SOFTMAX_F32_A();
    static ailayer_input_f32_t input = AILAYER_INPUT_F32_A(INPUT_AXES, shape);
    static ailoss_crossentropy_f32_t cross_entropy;
    static aiopti_sgd_f32_t sgd = AIOPTI_SGD_WITH_MOMENTUM_F32(RATE, MOMENTUM);
    static aimodel_t model;
    aitensor_t x_tensor = {.dtype = aif32, .dim = INPUT_AXES, .shape = x_shape, .data = x}, y_tensor = AITENSOR_2D_F32(y_shape, y);
    uint32_t size, step, before, after;
    aiopti_t *optimizer = aiopti_sgd_f32_default(&sgd);
    model.input_layer = ailayer_input_f32_default(&input);
    model.output_layer = ailayer_softmax_f32_default(&softmax, layers(model.input_layer));
    model.loss = ailoss_crossentropy_f32_default(&cross_entropy, model.output_layer);
    aialgo_compile_model(&model);
    say("parameters", size = aialgo_sizeof_parameter_memory(&model));
    if (size > sizeof parameters) leave(3);
    aialgo_distribute_parameter_memory(&model, parameters, size);
    each_parameter(&model, 1);
    say("training", size = aialgo_sizeof_training_memory(&model, optimizer));
    if (size > sizeof training) leave(4);
    aialgo_schedule_training_memory(&model, optimizer, training, size);
    aialgo_init_model_for_training(&model, optimizer);
    memcpy(x, sample, sizeof x);
    y[CLASS] = 1.0f;
    systick[1] = 0xFFFFFF;
    for (step = 0; step < STEPS; step++) {
        systick[2] = 0;
        systick[0] = 5;
        before = systick[2];
        aialgo_train_model(&model, &x_tensor, &y_tensor, optimizer, 1);
        after = systick[2];
        if (systick[0] & 0x10000) leave(5); /* the timer came round: more than forty million instructions */
        say("ticks", (before - after) & 0xFFFFFF);
        say_each("probability", &model.output_layer->result);
    }
    each_parameter(&model, 0);
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
