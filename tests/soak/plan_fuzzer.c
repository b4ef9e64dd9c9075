/* Feeds changed plans to the C runtime: each is checked, and run where it passes. Built with sanitizers, every byte read or written outside
 * its memory ends the program; a plan that changes its own bytes does so, too. `plan_fuzzer SECONDS SEED FILE...`; files are plans to begin with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../devices/firmware/runtime/plan_words.h"

enum { MOST_WORK = 20000, MOST_MEMORY = 1 << 19 };

static struct edgebll_work work;
static uint64_t state_of_random;

static uint32_t random_below(uint32_t limit)
{
    state_of_random ^= state_of_random << 13;
    state_of_random ^= state_of_random >> 7;
    state_of_random ^= state_of_random << 17;
    return (uint32_t)((state_of_random >> 20) % limit);
}

static void put32(uint8_t *at, uint32_t value)
{
    int i;
    for (i = 0; i < 4; i++) at[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t mutate(uint8_t *plan, uint32_t length)
{
    static const uint16_t telling[] = {0, 1, 2, 3, 4, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF};
    uint32_t changes = 1 + random_below(4);
    while (changes--) {
        uint32_t at = random_below(10) ? 28 + random_below(length - 32) : 4 + random_below(24);
        uint16_t value = random_below(2) ? telling[random_below(12)] : (uint16_t)random_below(65536);
        if (random_below(2) && at % 2 == 0 && at + 2 <= length) memcpy(plan + at, &value, 2);
        else plan[at] = (uint8_t)(random_below(3) ? plan[at] + value % 5 - 2 : value);
    }
    if (random_below(4)) put32(plan + 8, length);
    put32(plan + length - 4, edgebll_crc32(plan, length - 4));
    return length;
}

/* Whether all loops together are short enough to be run thousands of times a second. */
static int short_enough(const struct edgebll_plan *plan)
{
    const uint8_t *at = plan->bytes + plan->kernels_at, *end = plan->bytes + plan->length - 4;
    double sum = 0;
    uint32_t i;
    int error, k;
    for (i = 0; i < plan->kernels; i++) {
        double size = 1;
        at = edgebll_decode(&work.kernel, at, end, plan->width, &error);
        for (k = 0; k < work.kernel.rank; k++) size *= work.kernel.extent[k];
        if (work.kernel.opcode == KERNEL_GEMM) size *= work.kernel.special[0];
        if (work.kernel.opcode == KERNEL_CONV) size *= (double)work.kernel.special[CONV_I] * work.kernel.special[CONV_KH] * work.kernel.special[CONV_KW];
        sum += size;
    }
    return sum < MOST_WORK;
}

static uint8_t *filled(uint32_t length)
{
    uint8_t *memory = malloc(length ? length : 1);
    uint32_t i;
    for (i = 0; i < length; i++) memory[i] = (uint8_t)random_below(256);
    return memory;
}

/* 1 where the plan passed and ran. */
static int try_plan(const uint8_t *bytes, uint32_t length)
{
    struct edgebll_plan plan;
    uint8_t *own = malloc(length), *before = malloc(length), *state, *arena;
    int passed = 0;
    memcpy(own, bytes, length);
    memcpy(before, bytes, length);
    if (edgebll_plan_check(&plan, own, length, MOST_MEMORY, MOST_MEMORY, &work) == EDGEBLL_OK && short_enough(&plan)) {
        state = filled(plan.state_bytes);
        arena = filled(plan.arena_bytes);
        edgebll_plan_run(&plan, state, arena, &work);
        free(state), free(arena);
        passed = 1;
    }
    if (memcmp(own, before, length) != 0) abort();
    free(own), free(before);
    return passed;
}

int main(int count, char **arguments)
{
    unsigned long tried = 0, passed = 0;
    time_t end = time(NULL) + atoi(arguments[1]);
    static uint8_t original[1 << 16], plan[1 << 16];
    state_of_random = strtoull(arguments[2], NULL, 10) * 2654435761u + 88172645463325252u;
    while (time(NULL) < end || tried < 20000) {
        FILE *file = fopen(arguments[3 + random_below((uint32_t)count - 3)], "rb");
        uint32_t length = (uint32_t)fread(original, 1, sizeof original, file);
        int i;
        fclose(file);
        for (i = 0; i < 200; i++, tried++) {
            memcpy(plan, original, length);
            if (i) mutate(plan, length);
            passed += (unsigned long)try_plan(plan, length);
        }
    }
    printf("%lu plans tried, %lu ran\n", tried, passed);
    return passed > tried / 100 ? 0 : 3;
}
