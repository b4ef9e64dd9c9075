/*
 * The blocks of a board: where each one's plans and data lie in the pool, and which run it has done last.
 */
#ifndef EDGEBLL_SLOTS_H
#define EDGEBLL_SLOTS_H

#include <stdint.h>

#include "blocks.h"
#include "server.h"

#define HASH_BYTES 8u

/* A piece of the pool. */
typedef struct {
    uint32_t offset, bytes;
} span_t;

typedef struct {
    uint8_t hash[HASH_BYTES]; /* of the bundle's block, for the host to know it by */
    uint32_t in_use;
    span_t state;             /* what lasts from run to run: this block's alone */
    span_t arena;             /* inputs, outputs and what is computed in between: blocks may share it, for one runs at a time */
    span_t plans[PLANS];
    uint32_t run;             /* the last one that was done */
    uint32_t run_micros;      /* how long that took */
    struct edgebll_plan checked[PLANS];
} slot_t;
extern slot_t slots[SLOTS];

/* What a request asked for did not come to pass, and why. */
typedef struct {
    nak_reason reason;
    uint32_t detail, where;
} refusal_t;

/* Whether a piece lies in the pool. */
int in_pool(uint32_t offset, uint32_t bytes);

/* The host writes there: a block whose plans these were is none any more, for nothing that was not checked may run. */
void slots_written(uint32_t offset, uint32_t bytes);

/*
 * OP_SETUP. The body: hash[8], run u32, crc u32, and the spans of state, arena and three plans, each offset u32, bytes u32.
 * No plan at all frees the slot.
 */
refusal_t slot_set_up(uint32_t slot, const uint8_t *body, uint32_t count);

/* OP_RUN. The body: plan u8, spans u8, run u32, crc u32, the spans of the inputs. A run that was done is not done again. */
refusal_t slot_run(uint32_t slot, const uint8_t *body, uint32_t count, void (*progress)(void));

#endif
