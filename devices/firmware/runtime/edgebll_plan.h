/* Runs the plans of blocks on microcontrollers: training steps, forward passes and feedback heads.
 *
 * A plan is a byte string that edgebll's export wrote; docs/reference/microcontroller-plan.md specifies it. This runtime checks a plan
 * once and then runs it as often as wanted. It is plain C99: no heap, no recursion, no static data, nothing about any particular
 * processor, and of the C library memcpy, memmove, memset and memcmp alone, which compilers want anyway. Compile all .c files of this
 * folder with -ffp-contract=off (or your compiler's equal) and without -ffast-math; then every float32 result has the same bits on every
 * processor. -DEDGEBLL_SMALL leaves out what is only there for speed: less than 8 KiB of flash, and the same bits. -DEDGEBLL_FAST
 * with -ffp-contract=fast takes sums in whatever order is quickest: its results are as near to the truth, but their bits are its own.
 * With -DEDGEBLL_WITHOUT_INT8 it is smaller and refuses plans with int8 or int16, with EDGEBLL_INT8, and so it does with
 * -DEDGEBLL_SMALL.
 *
 *     static uint64_t state[...], arena[...];               // 8-byte aligned; edgebll_plan_needs says how large
 *     static struct edgebll_work work;                      // scratch, shared by all plans that do not run at the same time
 *     struct edgebll_plan step;
 *
 *     if (edgebll_plan_check(&step, bytes, length, sizeof state, sizeof arena, &work) != EDGEBLL_OK) ...
 *     memcpy(arena + port offset, inputs);                  // edgebll_plan_port says where x, y and the scalars belong
 *     edgebll_plan_run(&step, state, arena, &work);
 *     memcpy(outputs, arena + port offset);
 *
 * A plan that passed the check can neither read nor write outside state, arena, work and itself, whatever numbers are in them, as long as
 * its bytes stay as they were. Several blocks may share arena and work; each has a state of its own. */
#ifndef EDGEBLL_PLAN_H
#define EDGEBLL_PLAN_H

#include <stdint.h>

/* Elements that an element program treats at once: each costs 36 bytes of scratch, and fewer cost time. No bit depends on it. */
#ifndef EDGEBLL_STRIP
#define EDGEBLL_STRIP 32
#endif

/* What the runtime is compiled for. All files of a program have the same of these macros, or none. */
enum edgebll_profile { EDGEBLL_PROFILE_SMALL = 1, EDGEBLL_PROFILE_EXACT = 2, EDGEBLL_PROFILE_FAST = 3 };
#if defined(EDGEBLL_SMALL) && defined(EDGEBLL_FAST)
#error "EDGEBLL_SMALL and EDGEBLL_FAST exclude each other: define one of them, or none"
#elif defined(EDGEBLL_SMALL)
#define EDGEBLL_PROFILE EDGEBLL_PROFILE_SMALL
#ifndef EDGEBLL_WITHOUT_INT8
#define EDGEBLL_WITHOUT_INT8
#endif
#elif defined(EDGEBLL_FAST)
#define EDGEBLL_PROFILE EDGEBLL_PROFILE_FAST
#else
#define EDGEBLL_PROFILE EDGEBLL_PROFILE_EXACT
#endif

/* The newest version of plans that this runtime reads: 2 is that of plans with int8 or int16. */
#ifdef EDGEBLL_WITHOUT_INT8
#define EDGEBLL_PLAN_VERSION 1
#else
#define EDGEBLL_PLAN_VERSION 2
#endif
#define EDGEBLL_MAX_RANK 6
#define EDGEBLL_REGISTERS 8
#define EDGEBLL_MAX_OPERANDS 16

/* What edgebll_plan_check returns; the specification says what each means. */
enum edgebll_error {
    EDGEBLL_OK = 0,
    EDGEBLL_SHORT = 1,
    EDGEBLL_MAGIC = 2,
    EDGEBLL_VERSION = 3,
    EDGEBLL_CRC = 4,
    EDGEBLL_LAYOUT = 5,
    EDGEBLL_MEMORY = 6,
    EDGEBLL_OPCODE = 7,
    EDGEBLL_RANK = 8,
    EDGEBLL_EXTENT = 9,
    EDGEBLL_RANGE = 10,
    EDGEBLL_SLOT = 11,
    EDGEBLL_CONSTANT = 12,
    EDGEBLL_OVERLAP = 13,
    EDGEBLL_INT8 = 14
};

enum edgebll_role {
    EDGEBLL_X = 1,
    EDGEBLL_Y = 2,
    EDGEBLL_SCALAR = 3,
    EDGEBLL_RECEIVED = 4,
    EDGEBLL_A = 5,
    EDGEBLL_METRIC = 6,
    EDGEBLL_SENT = 7
};

/* A plan that was checked. Its bytes must stay where they are and as they are. */
struct edgebll_plan {
    const uint8_t *bytes;
    uint32_t length;
    uint32_t error_at;     /* after an error: the byte at which the kernel begins that is wrong, 0 for the header */
    uint32_t state_bytes;  /* what it needs */
    uint32_t arena_bytes;
    uint32_t constants_at; /* byte offsets in the plan */
    uint32_t kernels_at;
    uint32_t constant_bytes;
    uint32_t kernels;
    uint8_t width; /* bytes of a word: 2 or 4 */
    uint8_t graph; /* 0 step, 1 forward, 2 feedback */
    uint8_t ports;
};

/* An input or output of a plan, contiguous in the arena. */
struct edgebll_port {
    uint8_t role;   /* enum edgebll_role */
    uint8_t dtype;  /* 0 float32, 1 uint8, 2 int32, 3 int64 */
    uint16_t index; /* its number among those of its role */
    uint32_t offset;
    uint32_t count; /* elements */
};

/* Called now and then during a run, between kernels and inside long ones; must not touch state, arena or work. */
typedef void (*edgebll_hook)(void *context);

struct edgebll_operand {
    uint32_t where; /* region + 4 * dtype */
    uint32_t offset;
    int32_t stride[EDGEBLL_MAX_RANK];
};

/* Behind the operands of the program: A and B of a matrix product, X and the kernel of a convolution. */
enum { EDGEBLL_FACTOR_A = EDGEBLL_MAX_OPERANDS, EDGEBLL_FACTOR_B, EDGEBLL_ALL_OPERANDS };

/* A kernel with its words spread out. */
struct edgebll_kernel {
    uint32_t extent[EDGEBLL_MAX_RANK];
    uint32_t special[11];
    int32_t padding[2];
    const uint8_t *program;
    struct edgebll_operand operand[EDGEBLL_ALL_OPERANDS];
    uint8_t opcode, flags, rank, operands, instructions, width;
};

/* Where a slot's elements are: the first of a strip, and the distance to the next in elements. */
struct edgebll_lane {
    uint8_t *at;
    int32_t step;
};

/* Scratch of a run or a check; nothing in it is kept between calls. `hook` and `hook_context` are the caller's: set or clear them first. */
struct edgebll_work {
    edgebll_hook hook;
    void *hook_context;
    int32_t until_hook;
    uint8_t *region[3];
    struct edgebll_kernel kernel;
    uint32_t index[EDGEBLL_MAX_RANK];
    int along; /* the loop that lanes step along; rows do not go over it */
    /* The first element of each operand at `index`, and how far it moves in bytes when a loop goes on and those inside begin anew. */
    uint8_t *row[EDGEBLL_ALL_OPERANDS];
    int32_t carry[EDGEBLL_MAX_RANK][EDGEBLL_ALL_OPERANDS];
    struct edgebll_lane lane[EDGEBLL_REGISTERS + EDGEBLL_MAX_OPERANDS];
    float registers[EDGEBLL_REGISTERS][EDGEBLL_STRIP];
    float sums[EDGEBLL_STRIP];
};

/* Looks at every byte of a plan before anything of it runs.
 *
 * plan:         filled in; of use only where EDGEBLL_OK is returned, but for error_at
 * bytes:        the plan, aligned to 4 bytes
 * length:       bytes that were received
 * state_bytes:  bytes there are for the block's state, at an address that is a multiple of 8
 * arena_bytes:  bytes there are for the arena, likewise
 * work:         scratch
 * Returns EDGEBLL_OK or the first error found. */
int edgebll_plan_check(struct edgebll_plan *plan, const void *bytes, uint32_t length, uint32_t state_bytes, uint32_t arena_bytes,
                       struct edgebll_work *work);

/* Reads from the header of a plan how much memory it needs. Returns EDGEBLL_SHORT, EDGEBLL_MAGIC, EDGEBLL_VERSION or EDGEBLL_INT8 where it is none
 * that this runtime runs. */
int edgebll_plan_needs(const void *bytes, uint32_t length, uint32_t *state_bytes, uint32_t *arena_bytes);

/* Finds a port of a checked plan. Returns 1, or 0 where the plan has none of this role and number. */
int edgebll_plan_port(const struct edgebll_plan *plan, int role, uint32_t index, struct edgebll_port *port);

/* Runs a checked plan once: inputs are in the arena, outputs will be there; a step changes the state in place.
 *
 * plan:   from edgebll_plan_check
 * state:  at least plan->state_bytes, at a multiple of 8
 * arena:  at least plan->arena_bytes, at a multiple of 8
 * work:   scratch; work->hook, where it is not NULL, is called after every few thousand operations */
void edgebll_plan_run(const struct edgebll_plan *plan, void *state, void *arena, struct edgebll_work *work);

#endif
