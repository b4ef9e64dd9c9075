/*
 * A board, as the firmware knows it: five functions. To bring the firmware to another microcontroller, write them, and a TOML
 * file that says how to compile (boards/<name>.toml); startup and the ring of received bytes are there for every Cortex-M.
 */
#ifndef EDGEBLL_BOARD_H
#define EDGEBLL_BOARD_H

#include <stdint.h>

/* Set up clocks and the serial line (BOARD_BAUD, 8N1). Called once, before everything else. */
void board_init(void);

/* The next byte received, or -1 if there is none. With `wait` it sleeps until there may be one, and may return -1 even then. */
int board_getc(int wait);

/* Send a byte; returns once there is room for it. */
void board_putc(uint8_t byte);

/* Microseconds since some moment; wraps around. */
uint32_t board_micros(void);

/* Bytes of stack that were ever in use, at most board_memory's stack_bytes. */
uint32_t board_stack_used(void);

/* What the linker has left over: the pool of the blocks, and the size of the stack. */
typedef struct {
    uint8_t *pool;
    uint32_t pool_bytes;
    uint32_t stack_bytes;
    volatile uint32_t lost_bytes; /* received while the ring was full */
} board_memory_t;
extern board_memory_t board_memory;

#endif
