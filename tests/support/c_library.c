/* A block of the C library as a process, for tests: requests on its standard input, answers on its standard output.
 *
 * A request is a letter and what it takes; an answer is the error as 32 bits, and, where there is none, what the call gave. Memory of malloc ends
 * exactly where the block says, so that sanitisers see every byte outside. BLOCK, HEADER and the sizes come from the command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgebll.h"
#include HEADER

static struct edgebll_block block;
static struct edgebll_work work;

static void *memory(uint32_t bytes)
{
    void *made = malloc(bytes ? bytes : 1);
    if (made == NULL) exit(3);
    memset(made, 0xA5, bytes);
    return made;
}

static void take(void *to, uint32_t bytes)
{
    if (fread(to, 1, bytes, stdin) != bytes) exit(0); /* whoever asks has gone */
}

static void give(const void *from, uint32_t bytes)
{
    fwrite(from, 1, bytes, stdout);
}

static int answer(int error)
{
    int32_t told = error;
    give(&told, 4);
    return error == EDGEBLL_OK;
}

static void train(void *y, int in_chunks)
{
    /* A block that only predicts has no step, and refuses what is given all the same. */
    uint32_t bytes = block.train_x_bytes ? block.train_x_bytes : block.x_bytes;
    void *x = memory(bytes);
    int32_t begins = 1;
    float lr;
    int error;
    take(x, bytes);
    take(y, block.y_bytes);
    take(&lr, 4);
    if (in_chunks) take(&begins, 4);
    error = in_chunks ? edgebll_train_chunk(&block, x, y, lr, begins) : edgebll_train(&block, x, y, lr);
    free(x);
    if (!answer(error)) return;
    give(block.a, 4 * block.a_count);
    give(block.metrics, 4 * block.metric_count);
}

static void set_state(void)
{
    uint32_t bytes;
    void *from;
    take(&bytes, 4);
    from = memory(bytes);
    take(from, bytes);
    answer(edgebll_set_state(&block, from, bytes));
    free(from);
}

/* The exported block with something wrong. */
static struct edgebll_exported spoilt(const char *how)
{
    struct edgebll_exported exported = BLOCK;
    if (strcmp(how, "swapped") == 0) {
        exported.step = exported.forward;
        exported.step_bytes = exported.forward_bytes;
    } else if (strcmp(how, "foreign") == 0) {
        exported.feedback = exported.forward;
        exported.feedback_bytes = exported.forward_bytes;
    } else if (strncmp(how, "chunks", 6) == 0) {
        exported.chunks = (uint32_t)atoi(how + 6);
    } else if (strcmp(how, "damaged") == 0) {
        uint8_t *copy = memory(exported.step_bytes);
        memcpy(copy, exported.step, exported.step_bytes);
        copy[exported.step_bytes / 2] ^= 4;
        exported.step = copy; /* never freed: the block reads it as long as it lives */
    }
    return exported;
}

int main(int count, char **words)
{
    uint32_t state_bytes = (uint32_t)atol(words[1]), arena_bytes = (uint32_t)atol(words[2]);
    uint8_t *state = memory(state_bytes), *arena = memory(arena_bytes);
    static struct edgebll_exported exported;
    void *x, *y;
    int letter;
    exported = spoilt(count > 3 ? words[3] : "");
    answer(edgebll_load(&block, &exported, state, state_bytes, arena, arena_bytes, &work));
    x = memory(block.x_bytes);
    y = memory(block.y_bytes);
    for (fflush(stdout); (letter = getchar()) != EOF; fflush(stdout)) {
        if (letter == 't' || letter == 'c') {
            train(y, letter == 'c');
        } else if (letter == 'p') {
            take(x, block.x_bytes);
            if (answer(edgebll_predict(&block, x))) give(block.a, 4 * block.a_count);
        } else if (letter == 'f') {
            take(y, block.y_bytes);
            if (answer(edgebll_feedback(&block, y))) give(block.beta, 4 * block.beta_count);
        } else if (letter == 's') {
            if (answer(edgebll_state(&block) == NULL ? EDGEBLL_NOT_LOADED : EDGEBLL_OK)) give(edgebll_state(&block), block.state_bytes);
        } else if (letter == 'l') {
            set_state();
        }
    }
    free(x), free(y), free(state), free(arena);
    return 0;
}
