/* Numbers of requests and replies: little endian, wherever they lie. */
#ifndef EDGEBLL_BYTES_H
#define EDGEBLL_BYTES_H

#include <stdint.h>

static inline uint32_t get16(const uint8_t *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8;
}

static inline uint32_t get32(const uint8_t *from)
{
    return get16(from) | get16(from + 2) << 16;
}

static inline uint8_t *put16(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
    return to + 2;
}

static inline uint8_t *put32(uint8_t *to, uint32_t value)
{
    return put16(put16(to, value), value >> 16);
}

#endif
