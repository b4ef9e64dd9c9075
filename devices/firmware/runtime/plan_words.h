/* Shared by the files of the runtime; not for users of it. */
#ifndef EDGEBLL_PLAN_WORDS_H
#define EDGEBLL_PLAN_WORDS_H

#include "edgebll_plan.h"

enum { HEADER_BYTES = 28, PORT_BYTES = 12, CRC_BYTES = 4 };
enum { KERNEL_ELEMENT = 1, KERNEL_REDUCE, KERNEL_GEMM, KERNEL_CONV, KERNEL_GATHER };
enum { REDUCE_MAXIMUM = 1, REDUCE_LANE_KEPT = 2 };
enum { ARENA, STATE, CONSTANTS };
enum { FLOAT32, UINT8, INT32, INT64 };

/* Special words of the kernels. */
enum { REDUCE_KEPT, REDUCE_PROLOGUE };
enum { CONV_I, CONV_H, CONV_W, CONV_KH, CONV_KW, CONV_STRIDE_H, CONV_STRIDE_W, CONV_DILATION_H, CONV_DILATION_W, CONV_INPUT_H, CONV_INPUT_W };

/* Instructions. */
enum {
    MOVE, LOAD, STORE, ADD, SUB, MUL, DIV, MAX, MIN, GREATER, LESS, EQUAL, NEG, ABS, FLOOR, SQRT, RECIP, EXP, LOG, RELU, GATE, SELECT, MULADD,
    MULSUB, CODES
};
struct instruction {
    uint8_t code, d, a, b, c;
};

uint32_t edgebll_load32(const uint8_t *at);
uint32_t edgebll_crc32(const uint8_t *at, uint32_t length);

/* Spreads out the kernel that begins at `at`; `end` is the byte behind the last word. Returns the byte behind the kernel, NULL where words
 * are missing or its length is wrong, and then *error says which. */
const uint8_t *edgebll_decode(struct edgebll_kernel *kernel, const uint8_t *at, const uint8_t *end, int width, int *error);
struct instruction edgebll_instruction(const struct edgebll_kernel *kernel, int number);

/* Bytes of an element. */
uint32_t edgebll_size_of(int dtype);
int edgebll_check_kernel(const struct edgebll_plan *plan, const struct edgebll_kernel *kernel);

/* Points the lanes of all operands at the given loop indices; they then step along loop `along`. */
void edgebll_point(struct edgebll_work *work, const uint32_t *index, int along);
/* Moves the lanes of all operands on by some elements. */
void edgebll_advance(struct edgebll_work *work, uint32_t elements);
/* Runs instructions first ... last - 1 over n elements. */
void edgebll_program(struct edgebll_work *work, int first, int last, uint32_t n);
/* Counts work done and calls the hook when enough of it has come together. */
void edgebll_tick(struct edgebll_work *work, uint32_t operations);
/* Steps an index over loops from ... to - 1; 0 when all were seen, and then they are 0 again. */
int edgebll_next(uint32_t *index, const uint32_t *extent, int from, int to);

/* The first element of an operand at loop indices, taking the first `loops` into account. */
uint8_t *edgebll_at(const struct edgebll_work *work, const struct edgebll_operand *operand, const uint32_t *index, int loops);

void edgebll_reduce(struct edgebll_work *work);
void edgebll_gemm(struct edgebll_work *work);
void edgebll_conv(struct edgebll_work *work);
void edgebll_conv_columns(struct edgebll_work *work);

/* Which of a row of places are taken: start, start + step, ...; the element of the first, and how far each next one is. */
struct taken {
    int32_t start, count, step, element, advance;
};
struct spacing {
    int32_t distance, dilation, step, advance;
};
struct spacing edgebll_spacing(uint32_t distance, uint32_t dilation);
struct taken edgebll_taken(int32_t base, const struct spacing *spacing, int32_t places, int32_t elements);

float edgebll_exp(float x);
float edgebll_log(float x);
float edgebll_sqrt(float x);
float edgebll_floor(float x);

#endif
