/* Shared by the files of the runtime; not for users of it. */
#ifndef EDGEBLL_PLAN_WORDS_H
#define EDGEBLL_PLAN_WORDS_H

#include "edgebll_plan.h"

/* What takes most of the time is compiled for speed, and what runs once a plan or once a kernel for size, whatever the compiler was told. */
#if defined(__GNUC__) && !defined(__clang__)
#if defined(EDGEBLL_SIMPLE_LOOPS) && defined(EDGEBLL_FAST) && defined(__ARM_FEATURE_MVE) /* makes vector instructions of them */
#pragma GCC optimize("O3")
#elif defined(EDGEBLL_OFTEN) && !defined(EDGEBLL_SMALL)
#pragma GCC optimize("O2")
#else
#pragma GCC optimize("Os")
#endif
#endif
/* Whether a product and a sum may be rounded as one: said here, for Arduino gives libraries no flags of their own. */
#if defined(__clang__) && defined(EDGEBLL_FAST)
#pragma STDC FP_CONTRACT ON
#elif defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__) && defined(EDGEBLL_FAST)
#pragma GCC optimize("fp-contract=fast")
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

enum { HEADER_BYTES = 28, PORT_BYTES = 12, CRC_BYTES = 4, INT8_VERSION = 2 };
enum { KERNEL_ELEMENT = 1, KERNEL_REDUCE, KERNEL_GEMM, KERNEL_CONV, KERNEL_GATHER };
enum { REDUCE_MAXIMUM = 1, REDUCE_LANE_KEPT = 2 };
enum { ARENA, STATE, CONSTANTS };
enum { FLOAT32, UINT8, INT32, INT64, INT8, INT16 };

/* Special words of the kernels. */
enum { REDUCE_KEPT, REDUCE_PROLOGUE };
enum { CONV_I, CONV_H, CONV_W, CONV_KH, CONV_KW, CONV_STRIDE_H, CONV_STRIDE_W, CONV_DILATION_H, CONV_DILATION_W, CONV_INPUT_H, CONV_INPUT_W };

/* Instructions. */
enum {
    MOVE, LOAD, STORE, ADD, SUB, MUL, DIV, MAX, MIN, GREATER, LESS, EQUAL, NEG, ABS, FLOOR, SQRT, RECIP, EXP, LOG, RELU, GATE, SELECT, MULADD,
    MULSUB, TO_INT8
};
#ifdef EDGEBLL_WITHOUT_INT8
enum { LAST_DTYPE = INT64, LAST_CODE = MULSUB };
#else
enum { LAST_DTYPE = INT16, LAST_CODE = TO_INT8 };
#endif
struct instruction {
    uint8_t code, d, a, b, c;
};

uint32_t edgebll_load32(const uint8_t *at);
uint32_t edgebll_crc32(const uint8_t *at, uint32_t length);

/* Whether elements are int8; never, where the runtime is built without. */
static inline int edgebll_is_int8(uint32_t where)
{
#ifdef EDGEBLL_WITHOUT_INT8
    (void)where;
    return 0;
#else
    return where >> 2 == INT8;
#endif
}

/* The same of int16. */
static inline int edgebll_is_int16(uint32_t where)
{
#ifdef EDGEBLL_WITHOUT_INT8
    (void)where;
    return 0;
#else
    return where >> 2 == INT16;
#endif
}

/* Bytes of an element. */
static inline uint32_t edgebll_size_of(uint32_t where)
{
    return where >> 2 == UINT8 || edgebll_is_int8(where) ? 1u : edgebll_is_int16(where) ? 2u : where >> 2 == INT64 ? 8u : 4u;
}

/* Whether it sums products of two factors. */
static inline int edgebll_multiplies(const struct edgebll_kernel *kernel)
{
    return kernel->opcode == KERNEL_GEMM || kernel->opcode == KERNEL_CONV;
}

/* Spreads out the kernel that begins at `at`; `end` is the byte behind the last word. Returns the byte behind the kernel, NULL where words
 * are missing or its length is wrong, and then *error says which. */
const uint8_t *edgebll_decode(struct edgebll_kernel *kernel, const uint8_t *at, const uint8_t *end, int width, int *error);
struct instruction edgebll_instruction(const struct edgebll_kernel *kernel, int number);
int edgebll_check_kernel(const struct edgebll_plan *plan, const struct edgebll_kernel *kernel);
/* The element programs of any kernel but GATHER; *written gets a bit for each operand that is written. */
int edgebll_check_programs(const struct edgebll_kernel *kernel, uint32_t *written);
int edgebll_is_float(const struct edgebll_operand *operand);
/* Whether REDUCE sums over a loop. */
int edgebll_reduced(const struct edgebll_kernel *kernel, int loop);

/* Puts all rows and lanes to loop indices 0; lanes step along loop `along`, over which rows do not go. */
void edgebll_start(struct edgebll_work *work, int along);
/* Goes on to the next index of loops first ... last - 1, but for `along`, and moves the rows there. 0 when all were seen: then these indices
 * are 0 again, while the rows are still at the last, from where loops further out take them on. */
int edgebll_next(struct edgebll_work *work, int first, int last);
/* Puts the lanes to the rows, or `elements` further along. */
void edgebll_lanes(struct edgebll_work *work, uint32_t elements);
/* Runs instructions first ... last - 1 over n elements. */
void edgebll_program(struct edgebll_work *work, int first, int last, uint32_t n);
/* Does one instruction, but for LOAD and STORE, element by element. */
void edgebll_each(const struct instruction *instruction, const struct edgebll_lane *lanes, uint32_t n);
/* Counts work done and calls the hook when enough of it has come together. */
void edgebll_tick(struct edgebll_work *work, uint32_t operations);

void edgebll_reduce(struct edgebll_work *work);
void edgebll_gemm(struct edgebll_work *work);
void edgebll_conv(struct edgebll_work *work);

/* The loops of a sum, those of a single step moved outwards; `skip` leads from the end of a loop to the next step of the one around it. */
struct edgebll_loops {
    int32_t count[3], way_a, way_b, skip_a[2], skip_b[2];
};
/* Products to be summed over three loops: one factor that lanes share, and one with a place for each lane. */
struct edgebll_products {
    const uint8_t *shared, *lanes;
    int32_t size, shared_size; /* bytes of an element of `lanes` and of `shared`: 4 of float32, 2 of int16, 1 of int8 */
    int32_t count[3], shared_way[3], lanes_way[3];
    int32_t across; /* from one lane's factor to the next */
    int32_t terms;
    struct edgebll_loops loops;
#ifdef EDGEBLL_SPARSE
    int32_t sparse; /* whether to look at each row for zeros, EDGEBLL_LOOK, or what was found before */
#endif
};
static inline const float *edgebll_floats(const uint8_t *at)
{
    return (const float *)(const void *)at;
}

/* Whether a factor is not float32. */
static inline int edgebll_has_integers(const struct edgebll_products *products)
{
#ifdef EDGEBLL_WITHOUT_INT8
    (void)products;
    return 0;
#else
    return products->size + products->shared_size < 8;
#endif
}

/* To be called when counts or ways have changed, `across` among them. */
void edgebll_set_loops(struct edgebll_products *products);
/* The sum of one lane of float32, in its order. */
float edgebll_sum(const struct edgebll_products *products, const float *lane);
/* The sums of n lanes, each in its order, to to[0], to[step], ... */
void edgebll_sums(const struct edgebll_products *products, float *to, int32_t step, uint32_t n);
/* Sums for all rows of a kernel that was started, whose rows share factor `shared`, each row given to the program or to the update it is. */
struct edgebll_update;
void edgebll_lines(struct edgebll_work *work, struct edgebll_products *products, int shared, const struct edgebll_update *update);
#ifndef EDGEBLL_WITHOUT_INT8
/* The same where a factor is not float32; where both are int8, in integers, where no order is another. */
void edgebll_integer_sums(const struct edgebll_products *products, float *to, int32_t step, uint32_t n);
void edgebll_mixed_sums(const struct edgebll_products *products, float *to, int32_t step, uint32_t n);
#else
#define edgebll_integer_sums(products, to, step, n) ((void)0)
#endif
/* Rounds to nearest, halves to even, and cuts to -128 ... 127; NaN becomes 0. */
float edgebll_to_int8(float x);
/* LOAD of n numbers from int8 or int16. */
void edgebll_load_short(const struct edgebll_lane *d, const struct edgebll_lane *a, uint32_t where, uint32_t n);
/* STORE of n numbers to int8 or int16, rounded in the same way. */
void edgebll_store_rounded(const struct edgebll_lane *d, uint32_t where, const struct edgebll_lane *a, uint32_t n);

float edgebll_exp(float x);
float edgebll_log(float x);
float edgebll_sqrt(float x);
float edgebll_floor(float x);

#include "speed_forms.h"

#endif
