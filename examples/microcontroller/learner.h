/* Learns gestures, one sample at a time, and goes on where it was after a loss of power. */
#ifndef LEARNER_H
#define LEARNER_H

#include "edgebll.h"
#include "edgebll_store.h"
#include "gestures.h"

/* Steps from one record in flash to the next: what a loss of power costs at most. */
#ifndef LEARNER_KEEP_EVERY
#define LEARNER_KEEP_EVERY 50u
#endif

/* What is kept. The block learns in it, so keeping it needs no copy. */
struct learner_record {
    uint64_t state[GESTURES_STATE_BYTES / 8u];
    uint32_t block; /* GESTURES_ID: the state of another network is of no use to this one */
    uint32_t step;  /* samples learned from */
};

struct learner {
    struct learner_record record;
    uint64_t arena[GESTURES_ARENA_BYTES / 8u];
    struct edgebll_work work;
    struct edgebll_block block;
    struct edgebll_store store;
};

/* Loads the block and what was kept in flash. Returns EDGEBLL_OK or an error of edgebll. */
int learner_start(struct learner *learner, const struct edgebll_flash *flash);

/* Takes the next sample, guesses, learns, and keeps the record where it is time to. *right says whether the guess was.
 * Returns EDGEBLL_OK or an error of edgebll. */
int learner_step(struct learner *learner, int *right);

#endif
