/* A network of two blocks in one arena, for tests: takes samples and targets from its standard input until there are none, gives both states. */
#include <stdio.h>
#include <string.h>

#include "block0.h"
#include "block1.h"

#define LARGER(a, b) ((a) > (b) ? (a) : (b))
static uint64_t first_state[BLOCK0_STATE_BYTES / 8], second_state[BLOCK1_STATE_BYTES / 8];
static uint64_t arena[LARGER(BLOCK0_ARENA_BYTES, BLOCK1_ARENA_BYTES) / 8];
static struct edgebll_work work;
static struct edgebll_block first, second;

int main(void)
{
    float x[BLOCK0_X_COUNT], y[BLOCK0_Y_COUNT];
    if (edgebll_load(&first, &block0, first_state, sizeof first_state, arena, sizeof arena, &work)) return 2;
    if (edgebll_load(&second, &block1, second_state, sizeof second_state, arena, sizeof arena, &work)) return 3;
    while (fread(x, sizeof x, 1, stdin) == 1 && fread(y, sizeof y, 1, stdin) == 1) {
        const void *between;
        if (edgebll_train(&first, x, y, 0.05f)) return 4;
        /* Where it does most harm: over the targets of the second. */
        between = memmove((uint8_t *)arena + second.y.offset, first.a, second.x_bytes);
        if (edgebll_train(&second, between, y, 0.05f)) return 4;
    }
    fwrite(edgebll_state(&first), first.state_bytes, 1, stdout);
    fwrite(edgebll_state(&second), second.state_bytes, 1, stdout);
    return 0;
}
