/* From the words of a plan to one kernel in memory. */
#include <stddef.h>

#include "plan_words.h"

struct reader {
    const uint8_t *at, *end;
    int width, missing;
};

uint32_t edgebll_load32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint32_t edgebll_size_of(int dtype)
{
    return dtype == UINT8 ? 1u : dtype == INT64 ? 8u : 4u;
}

static uint32_t word(const uint8_t *at, int width)
{
    return width == 2 ? (uint32_t)(at[0] | at[1] << 8) : edgebll_load32(at);
}

static uint32_t next_unsigned(struct reader *reader)
{
    uint32_t value;
    if (reader->end - reader->at < reader->width) {
        reader->missing = 1;
        return 0;
    }
    value = word(reader->at, reader->width);
    reader->at += reader->width;
    return value;
}

static int32_t next_signed(struct reader *reader)
{
    uint32_t value = next_unsigned(reader);
    return reader->width == 2 ? (int16_t)value : (int32_t)value;
}

static void next_operand(struct reader *reader, struct edgebll_operand *operand, int strides)
{
    uint32_t where = next_unsigned(reader);
    int i;
    /* What does not fit into a byte is no region and no dtype: it must not be cut to one. */
    operand->region = (uint8_t)(where & 3);
    operand->dtype = (uint8_t)(where >> 2 > 255 ? 255 : where >> 2);
    operand->offset = next_unsigned(reader);
    for (i = 0; i < strides; i++) operand->stride[i] = next_signed(reader);
}

struct instruction edgebll_instruction(const struct edgebll_kernel *kernel, int number)
{
    const uint8_t *at = kernel->program + 2 * number * kernel->width;
    uint32_t first = word(at, kernel->width), second = word(at + kernel->width, kernel->width);
    struct instruction i;
    i.code = (uint8_t)first;
    i.d = (uint8_t)(first >> 8 > 255 ? 255 : first >> 8);
    i.a = (uint8_t)(second & 31);
    i.b = (uint8_t)(second >> 5 & 31);
    i.c = (uint8_t)(second >> 10 > 255 ? 255 : second >> 10);
    return i;
}

static void special_words(struct reader *reader, struct edgebll_kernel *kernel)
{
    static const uint8_t numbers[] = {0, 2, 1, 11, 1};
    int i, count = numbers[kernel->opcode - KERNEL_ELEMENT];
    for (i = 0; i < count; i++) kernel->special[i] = next_unsigned(reader);
    if (kernel->opcode == KERNEL_CONV) {
        kernel->padding[0] = next_signed(reader);
        kernel->padding[1] = next_signed(reader);
    }
    if (kernel->opcode == KERNEL_CONV || kernel->opcode == KERNEL_GEMM) {
        int strides = kernel->opcode == KERNEL_CONV ? 5 : kernel->rank + 1;
        next_operand(reader, &kernel->a, strides);
        next_operand(reader, &kernel->b, strides);
    }
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
    struct reader reader;
    uint32_t code, length, counts, bytes;
    int i;
    reader.at = at;
    reader.end = end;
    reader.width = width;
    reader.missing = 0;
    code = next_unsigned(&reader);
    length = next_unsigned(&reader);
    counts = next_unsigned(&reader);
    *error = EDGEBLL_LAYOUT;
    if (reader.missing || length > (uint32_t)(end - at) / (uint32_t)width) return NULL;
    *error = EDGEBLL_OPCODE;
    kernel->opcode = (uint8_t)code;
    if (kernel->opcode < KERNEL_ELEMENT || kernel->opcode > KERNEL_GATHER || code >> 8 >= flags[kernel->opcode - KERNEL_ELEMENT]) return NULL;
    kernel->flags = (uint8_t)(code >> 8);
    kernel->rank = counts & 7;
    kernel->operands = counts >> 3 & 31;
    *error = EDGEBLL_RANK;
    if (counts >> 8 > 127 || !counts_in_range(kernel)) return NULL;
    kernel->instructions = (uint8_t)(counts >> 8);
    kernel->width = (uint8_t)width;
    for (i = 0; i < kernel->rank; i++) kernel->extent[i] = next_unsigned(&reader);
    for (i = 0; i < kernel->operands; i++) next_operand(&reader, &kernel->operand[i], kernel->rank);
    *error = EDGEBLL_LAYOUT;
    bytes = 2u * kernel->instructions * (uint32_t)width;
    if ((uint32_t)(end - reader.at) < bytes) return NULL;
    kernel->program = reader.at;
    reader.at += bytes;
    special_words(&reader, kernel);
    if (reader.missing || reader.at - at != (ptrdiff_t)length * width) return NULL;
    return reader.at;
}
