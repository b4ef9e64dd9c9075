/* The C runtime for tests: checks and runs one plan on memory that ends exactly where the plan says. */
#include <stdlib.h>
#include <string.h>

#include "../../devices/firmware/runtime/edgebll_plan.h"

static struct edgebll_work work;
static unsigned long hooks;

static void count(void *context)
{
    ++*(unsigned long *)context;
}

unsigned long runtime_hooks(void)
{
    return hooks;
}

/* Returns the error and sets *at; runs the plan `times` times where there is none. Blocks of malloc let sanitizers see every byte outside. */
int runtime_run(const void *bytes, uint32_t length, uint8_t *state, uint32_t state_bytes, uint8_t *arena, uint32_t arena_bytes, int times,
                uint32_t *at)
{
    struct edgebll_plan plan;
    uint8_t *own = malloc(length ? length : 1), *own_state = malloc(state_bytes ? state_bytes : 1), *own_arena = malloc(arena_bytes ? arena_bytes : 1);
    int error;
    memcpy(own, bytes, length);
    memcpy(own_state, state, state_bytes);
    memcpy(own_arena, arena, arena_bytes);
    memset(&work, 0xA5, sizeof work);
    work.hook = count;
    work.hook_context = &hooks;
    error = edgebll_plan_check(&plan, own, length, state_bytes, arena_bytes, &work);
    *at = plan.error_at;
    for (; !error && times > 0; times--) edgebll_plan_run(&plan, own_state, own_arena, &work);
    memcpy(state, own_state, state_bytes);
    memcpy(arena, own_arena, arena_bytes);
    free(own), free(own_state), free(own_arena);
    return error;
}
