/*
 * Spikes as few bytes, as edgebll/kernel/wire/spike_coding.py has them: float32 numbers of nothing but 0.0 and 1.0. Nothing here
 * knows of a board or a line. Compiled with EDGEBLL_SPARSE.
 */
#ifndef EDGEBLL_SPIKES_H
#define EDGEBLL_SPIKES_H

#include <stdint.h>

enum {
    SPIKES_NONE,  /* there are other numbers, too */
    SPIKES_BITS,  /* a bit a number, the first in the lowest bit of the first byte; bits behind the last are 0 */
    SPIKES_EVENTS /* for each 1.0 the number of 0.0 before it, 7 bits a byte, lowest first; bit 7: another byte follows */
};

/* Bytes of so many numbers as bits. */
static inline uint32_t spikes_bytes(uint32_t count)
{
    return (count + 7u) / 8u;
}

/*
 * Code `count` numbers, little endian at `from`, by whatever takes fewer bytes, at most spikes_bytes(count). Returns the byte behind
 * the code; where it is SPIKES_NONE there is none.
 */
uint8_t *spikes_pack(const uint8_t *from, uint32_t count, uint8_t *to, uint8_t *coding);

/* The numbers again; 0 where the bytes are no such code of so many numbers, and then some may have been written. */
int spikes_unpack(uint32_t coding, const uint8_t *from, uint32_t bytes, uint8_t *to, uint32_t count);

#endif
