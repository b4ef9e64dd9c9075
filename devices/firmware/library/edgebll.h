/* Learning in firmware of your own: load a block of an exported network, train it, predict with it, keep its state.
 *
 * `edgebll firmware embed BUNDLE --out src` writes block0.h and block0.c, constants that the compiler puts into flash; then
 *
 *     #include "block0.h"
 *
 *     static uint64_t state[BLOCK0_STATE_BYTES / 8], arena[BLOCK0_ARENA_BYTES / 8];     // 8-byte aligned
 *     static struct edgebll_work work;                                                  // scratch
 *     static struct edgebll_block block;
 *     float x[BLOCK0_X_COUNT], y[BLOCK0_Y_COUNT];
 *
 *     if (edgebll_load(&block, &block0, state, sizeof state, arena, sizeof arena, &work) != EDGEBLL_OK) ...   // once
 *     edgebll_train(&block, x, y, 0.05f);        // one training step; block.a and block.metrics have what came of it
 *     edgebll_predict(&block, x);                // one forward pass; block.a has the scores
 *
 * The calls are those of `edgebll_devices.load_block` in Python, with the same meaning and, bit for bit, the results of the runtime "ordered".
 * There is no heap, no data of the library's own, no recursion, and no C library but memcpy, memmove and memset. Compile the .c files of this folder and
 * of ../runtime as C99 with -ffp-contract=off and without -ffast-math.
 *
 * Several blocks: each needs a struct edgebll_block and a state of its own. Those that run one after another may share arena and work; what one leaves
 * in block.a may then be the next one's x, and must be used or copied before any other block runs. A network of two blocks trains by
 *
 *     edgebll_train(&first, x, y, lr);  edgebll_train(&second, first.a, y, lr);
 *
 * Samples that are cut in time (BLOCK0_CHUNKS is defined): each call of edgebll_train_chunk takes a chunk, BLOCK0_TRAIN_X_COUNT numbers, and says whether a
 * sample begins with it; what neurons and traces carry to the next chunk is in the state, so it is kept and set with it. A stream need not end:
 *
 *     edgebll_train_chunk(&block, x, y, 0.05f, first);    // 1: begin at rest, 0: go on
 *
 * edgebll_predict takes whole samples, BLOCK0_X_COUNT numbers, from rest, and leaves what is carried alone.
 *
 * Prediction alone: `edgebll firmware embed BUNDLE --int8 --out src` writes the forward pass of a bundle of `edgebll quantize`, int8 weights in flash
 * and no state. Load it and call edgebll_predict.
 *
 * Threads and interrupts: one caller at a time for all blocks that share arena or work. A watchdog is fed by work.hook, see edgebll_plan.h.
 *
 * Loss of power: the state is in RAM. edgebll_store.h keeps it in flash. */
#ifndef EDGEBLL_H
#define EDGEBLL_H

#ifdef __cplusplus
extern "C" {
#endif

#include "edgebll_plan.h"

/* What the calls return besides EDGEBLL_OK and, from edgebll_load, the errors of plans; edgebll_error_text has a sentence for each. */
enum edgebll_problem {
    EDGEBLL_NOT_LOADED = 32,  /* edgebll_load was not called, or failed */
    EDGEBLL_UNLIKE = 33,      /* the plans are not the step, forward pass and feedback head of one block */
    EDGEBLL_INPUTS = 34,      /* the block takes more than x, y, a learning rate and where a sample begins */
    EDGEBLL_NOT_FINITE = 35,  /* NaN or infinity in x, y or the learning rate, or a learning rate below 0; the state is as before */
    EDGEBLL_NO_FEEDBACK = 36, /* the block has no feedback head */
    EDGEBLL_STATE_SIZE = 37,  /* not as many bytes as the block's state has */
    EDGEBLL_EMPTY = 38,       /* edgebll_store.h: nothing was kept yet */
    EDGEBLL_FLASH = 39,       /* edgebll_store.h: flash does not keep what is written, or is laid out otherwise */
    EDGEBLL_NO_STEP = 40      /* the block predicts alone: it was embedded with --int8 */
};

/* A block as `edgebll firmware embed` writes it. Everything is constant, aligned to 4 bytes, and stays in flash. */
struct edgebll_exported {
    const void *step, *forward, *feedback; /* plans; feedback is NULL where there is none, and step where the block predicts alone */
    uint32_t step_bytes, forward_bytes, feedback_bytes;
    const void *state; /* the initial one */
    uint32_t state_bytes;
    uint32_t chunks; /* training steps that a sample takes, where it is cut in time; 0 or 1 elsewhere */
};

/* A loaded block. Read what the first part says; leave the rest alone. */
struct edgebll_block {
    const float *a;       /* of the last train or predict: the output, rows of a batch one after another; valid until the next call */
    const float *metrics; /* of the last train, in the order of the names in the written header, the loss first; valid as long */
    const float *beta;    /* of the last feedback; valid as long */
    uint32_t a_count, metric_count, beta_count; /* how many numbers each has, a by the last call */
    uint32_t x_bytes, y_bytes;                  /* what train and predict read */
    uint32_t train_x_bytes;                     /* what train reads of x: x_bytes, or less where samples are cut in time */
    uint32_t state_bytes;

    struct edgebll_plan step, forward, feedback;
    struct edgebll_port x, y, lr, reset, forward_x, feedback_y;
    uint8_t *state, *arena;
    struct edgebll_work *work;
    uint32_t step_a_at, metrics_at, forward_a_at, beta_at;
    uint32_t step_a_count, forward_a_count;
    uint8_t loaded, has_step, has_feedback;
};

/* Loads a block with its initial state, and checks every byte of its plans: what passes can neither read nor write outside the memory given here.
 *
 * block:     filled in
 * exported:  from the written header; must stay
 * state:     what the block learns; at a multiple of 8 bytes, as are all addresses here
 * arena:     holds what lives during a call
 * work:      scratch; set work->hook before, or clear it: a static one is cleared
 * Returns EDGEBLL_OK, or why the block cannot be used: an enum edgebll_error of a plan, EDGEBLL_UNLIKE or EDGEBLL_INPUTS. */
int edgebll_load(struct edgebll_block *block, const struct edgebll_exported *exported, void *state, uint32_t state_bytes, void *arena,
                 uint32_t arena_bytes, struct edgebll_work *work);

/* One training step. block->a has the output from before the update, block->metrics the metrics. A loss that is NaN says that numbers overflowed:
 * set a state from before.
 *
 * x:   a batch, of the dtype in the written header, block->train_x_bytes in all; where samples are cut in time, a chunk that each begins with
 * y:   its targets, for classification 1.0f at the class and 0.0f elsewhere, block->y_bytes in all; never read where that is 0
 * lr:  the learning rate, 0 or more
 * Returns EDGEBLL_OK, EDGEBLL_NOT_LOADED, EDGEBLL_NO_STEP or EDGEBLL_NOT_FINITE; the state changes only with EDGEBLL_OK. */
int edgebll_train(struct edgebll_block *block, const void *x, const void *y, float lr);

/* One training step of samples that are cut in time. A learning rate of 0 lets neurons and traces go on, and weights stay.
 *
 * x:       a chunk of each sample of a batch, block->train_x_bytes in all
 * y, lr:   as for edgebll_train
 * begins:  not 0 where the samples begin with this chunk: neurons and traces begin at rest; 0 where they go on. A block that takes samples whole
 *          does not look at it
 * Returns what edgebll_train does, which is this with begins = 1. */
int edgebll_train_chunk(struct edgebll_block *block, const void *x, const void *y, float lr, int begins);

/* The forward pass with the weights as they are now; block->a has the output.
 *
 * x:  a batch of whole samples, block->x_bytes in all
 * Returns EDGEBLL_OK, EDGEBLL_NOT_LOADED or EDGEBLL_NOT_FINITE. */
int edgebll_predict(struct edgebll_block *block, const void *x);

/* What the feedback head makes of targets; block->beta has it.
 *
 * y:  as for edgebll_train
 * Returns EDGEBLL_OK, EDGEBLL_NOT_LOADED, EDGEBLL_NOT_FINITE or EDGEBLL_NO_FEEDBACK. */
int edgebll_feedback(struct edgebll_block *block, const void *y);

/* The state as it is now, block->state_bytes of it: weights, moments, statistics. Copy it to keep it. NULL where the block is not loaded.
 * The written header says where each tensor lies. */
const void *edgebll_state(const struct edgebll_block *block);

/* Goes on from a state; equal calls from equal states give equal bits.
 *
 * state:  as edgebll_state gave it, of this block
 * bytes:  its size
 * Returns EDGEBLL_OK, EDGEBLL_NOT_LOADED or EDGEBLL_STATE_SIZE. */
int edgebll_set_state(struct edgebll_block *block, const void *state, uint32_t bytes);

/* A sentence on what a call returned: what was expected and what to do. In a file of its own, so that firmware that does not ask has no texts. */
const char *edgebll_error_text(int error);

#ifdef __cplusplus
}
#endif

#endif
