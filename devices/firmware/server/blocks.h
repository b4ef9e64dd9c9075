/* Plans of blocks, as the server sees them: bytes that are checked once and then run. */
#ifndef EDGEBLL_BLOCKS_H
#define EDGEBLL_BLOCKS_H

#include <stdint.h>

/* Version of SPEC.md. */
uint32_t block_plan_version(void);

/* A plan, and the memory it works on. */
typedef struct {
    const uint8_t *plan;
    uint8_t *state, *arena;
    uint32_t plan_bytes, state_bytes, arena_bytes;
} block_t;

/*
 * Check a plan before anything of it runs: that it reads and writes nothing outside its own bytes, the state and the arena.
 * 0, or why not; `where` is the byte of the plan that says so.
 */
uint32_t block_check(const block_t *block, uint32_t *where);

/* Run a checked plan. `progress` is called now and then. 0, or how it failed. */
uint32_t block_run(const block_t *block, void (*progress)(void));

#endif
