/* From the words of a plan to one kernel in memory. */
#define EDGEBLL_OFTEN
#include <stddef.h>

#include "plan_words.h"

uint32_t edgebll_load32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint32_t word(const uint8_t *at, int width)
{
    return width == 2 ? (uint32_t)(at[0] | at[1] << 8) : edgebll_load32(at);
}

static const uint8_t *unsigned_words(uint32_t *to, const uint8_t *at, int count, int width)
{
    for (; count != 0; count--, at += width) *to++ = word(at, width);
    return at;
}

static const uint8_t *signed_words(int32_t *to, const uint8_t *at, int count, int width)
{
    if (width == 2) {
        for (; count != 0; count--, at += 2) *to++ = (int16_t)(at[0] | at[1] << 8);
    } else {
        for (; count != 0; count--, at += 4) *to++ = (int32_t)edgebll_load32(at);
    }
    return at;
}

static const uint8_t *operand_words(struct edgebll_operand *operand, const uint8_t *at, int strides, int width)
{
    operand->where = word(at, width);
    operand->offset = word(at + width, width);
    return signed_words(operand->stride, at + 2 * width, strides, width);
}

struct instruction edgebll_instruction(const struct edgebll_kernel *kernel, int number)
{
    const int width = kernel->width;
    const uint8_t *at = kernel->program + 2 * number * width;
    struct instruction i;
    uint32_t sources = word(at + width, width);
    i.code = at[0];
    i.d = at[1];
    i.a = (uint8_t)(sources & 31);
    i.b = (uint8_t)(sources >> 5 & 31);
    i.c = (uint8_t)(sources >> 10);
    return i;
}

static const uint8_t *special_words(struct edgebll_kernel *kernel, const uint8_t *at)
{
    static const uint8_t numbers[] = {0, 2, 1, 11, 1};
    int width = kernel->width, strides = kernel->opcode == KERNEL_CONV ? 5 : kernel->rank + 1;
    at = unsigned_words(kernel->special, at, numbers[kernel->opcode - KERNEL_ELEMENT], width);
    if (kernel->opcode == KERNEL_CONV) at = signed_words(kernel->padding, at, 2, width);
    if (kernel->opcode == KERNEL_CONV || kernel->opcode == KERNEL_GEMM) {
        at = operand_words(&kernel->operand[EDGEBLL_FACTOR_A], at, strides, width);
        at = operand_words(&kernel->operand[EDGEBLL_FACTOR_B], at, strides, width);
    }
    return at;
}

/* Words behind the instructions. */
static uint32_t special_count(const struct edgebll_kernel *kernel)
{
    static const uint8_t counts[] = {0, 2, 7, 27, 1};
    return counts[kernel->opcode - KERNEL_ELEMENT] + (kernel->opcode == KERNEL_GEMM ? 2u * kernel->rank : 0u);
}

static int counts_in_range(const struct edgebll_kernel *kernel)
{
    static const uint8_t lowest[] = {1, 1, 1, 5, 2}, highest[] = {6, 6, 5, 5, 2};
    int opcode = kernel->opcode - KERNEL_ELEMENT;
    return kernel->rank >= lowest[opcode] && kernel->rank <= highest[opcode] && kernel->operands <= EDGEBLL_MAX_OPERANDS;
}

const uint8_t *edgebll_decode(struct edgebll_kernel *kernel, const uint8_t *at, const uint8_t *end, int width, int *error)
{
    static const uint8_t flags[] = {1, 4, 1, 2, 2};
    uint32_t head[3], words = (uint32_t)(end - at) / (uint32_t)width;
    int i;
    *error = EDGEBLL_LAYOUT;
    if (words < 3) return NULL;
    at = unsigned_words(head, at, 3, width);
    if (head[1] > words) return NULL;
    *error = EDGEBLL_OPCODE;
    kernel->opcode = (uint8_t)head[0];
    kernel->flags = (uint8_t)(head[0] >> 8);
    if (kernel->opcode < KERNEL_ELEMENT || kernel->opcode > KERNEL_GATHER) return NULL;
    if (head[0] >> 8 >= flags[kernel->opcode - KERNEL_ELEMENT]) return NULL;
    kernel->rank = head[2] & 7;
    kernel->operands = head[2] >> 3 & 31;
    kernel->instructions = (uint8_t)(head[2] >> 8);
    kernel->width = (uint8_t)width;
    *error = EDGEBLL_RANK;
    if (head[2] >> 8 > 127 || !counts_in_range(kernel)) return NULL;
    *error = EDGEBLL_LAYOUT;
    words = 3u + kernel->rank + kernel->operands * (2u + kernel->rank) + 2u * kernel->instructions + special_count(kernel);
    if (words != head[1]) return NULL;
    at = unsigned_words(kernel->extent, at, kernel->rank, width);
    for (i = 0; i < kernel->operands; i++) at = operand_words(&kernel->operand[i], at, kernel->rank, width);
    kernel->program = at;
    return special_words(kernel, at + 2 * kernel->instructions * width);
}
