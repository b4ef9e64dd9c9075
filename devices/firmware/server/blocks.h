/* Plans of blocks, as the server sees them: bytes that are checked once and then run. */
#ifndef EDGEBLL_BLOCKS_H
#define EDGEBLL_BLOCKS_H

#include <stdint.h>

#include "edgebll_plan.h"

/*
 * Check a plan before anything of it runs: that it reads and writes nothing outside its own bytes, the state and the arena.
 * 0, or an enum edgebll_error; checked->error_at says where.
 */
int block_check(struct edgebll_plan *checked, const uint8_t *bytes, uint32_t count, uint32_t state_bytes, uint32_t arena_bytes);

/* Run a checked plan. `progress` is called now and then. */
void block_run(const struct edgebll_plan *checked, uint8_t *state, uint8_t *arena, void (*progress)(void));

#endif
