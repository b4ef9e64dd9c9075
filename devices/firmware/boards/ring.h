/*
 * Bytes between the interrupt that receives them and the main loop that takes them: one writer, one reader, no locks.
 */
#ifndef EDGEBLL_RING_H
#define EDGEBLL_RING_H

#include <stdint.h>

#include "board.h"

/* A power of two. The host sends at most BOARD_RING_BYTES - 1 bytes ahead of what was answered: its credit. */
#ifndef BOARD_RING_BYTES
#define BOARD_RING_BYTES 2048u
#endif

typedef struct {
    volatile uint32_t written, taken; /* counts, never wrapped to the size */
    uint8_t bytes[BOARD_RING_BYTES];
} ring_t;
extern ring_t board_ring;

/* Called by the receiving interrupt alone. */
static inline void ring_put(uint8_t byte)
{
    if (board_ring.written - board_ring.taken == BOARD_RING_BYTES) {
        board_memory.lost_bytes++;
        return;
    }
    board_ring.bytes[board_ring.written % BOARD_RING_BYTES] = byte;
    board_ring.written++;
}

/* Called by the main loop alone. */
static inline int ring_take(void)
{
    if (board_ring.written == board_ring.taken) {
        return -1;
    }
    uint8_t byte = board_ring.bytes[board_ring.taken % BOARD_RING_BYTES];
    board_ring.taken++;
    return byte;
}

#endif
