#include "blocks.h"

#include <stddef.h>

/* One run at a time, whoever's. */
static struct edgebll_work work;

static void call(void *context)
{
    (*(void (**)(void))context)();
}

int block_check(struct edgebll_plan *checked, const uint8_t *bytes, uint32_t count, uint32_t state_bytes, uint32_t arena_bytes)
{
    work.hook = NULL;
    return edgebll_plan_check(checked, bytes, count, state_bytes, arena_bytes, &work);
}

void block_run(const struct edgebll_plan *checked, uint8_t *state, uint8_t *arena, void (*progress)(void))
{
    work.hook = call;
    work.hook_context = &progress;
    edgebll_plan_run(checked, state, arena, &work);
}
