/* The example's learner with its power cut: at every single erasure and programming, before, within and after it, and once more on the way back.
 *
 *     power_cuts MANNER      0 before, 1 within, 2 after
 *
 * Flash is as hardware has it: an erasure clears a page, programming turns ones to zeros, and a unit of 8 bytes is programmed once after an erasure (more
 * is an error). What is cut within leaves anything in the bytes concerned. Says how many cuts left the old record and how many the new one, and ends with
 * 1 at the first that left neither, or another end than the undisturbed run's. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learner.h"

enum { PAGE = 512, UNIT = 8, BYTES = 64 * PAGE, STEPS = 6 * LEARNER_KEEP_EVERY + 1, RECORDS = 7 };

static uint8_t cells[BYTES], used[BYTES / UNIT];
static long operations, cut_at, second_cut;
static int manner;
static uint32_t seed;
static jmp_buf power;

static uint8_t any(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint8_t)(seed >> 24);
}

static int cell_read(void *context, uint32_t at, void *to, uint32_t bytes)
{
    (void)context;
    if (at > BYTES || bytes > BYTES - at) exit(4);
    memcpy(to, cells + at, bytes);
    return 0;
}

/* Does an operation through `act` on [at, at + bytes), or a part of it where the power is cut. */
static int operate(uint32_t at, uint32_t bytes, const uint8_t *from)
{
    uint32_t i, reached = bytes;
    int cut = ++operations == cut_at;
    if (at > BYTES || bytes > BYTES - at) exit(4);
    if (cut && manner == 0) longjmp(power, 1);
    if (cut && manner == 1) reached = any() % bytes;
    for (i = 0; i < bytes; i++) {
        uint8_t wanted = from != NULL ? from[i] : 0xFF, before = cells[at + i];
        if (from != NULL && i % UNIT == 0 && used[(at + i) / UNIT]++) exit(5); /* programmed twice */
        if (i < reached) cells[at + i] = from != NULL ? before & wanted : wanted;
        else if (from == NULL) cells[at + i] = before | any(); /* half erased: some ones have come back */
        else if (i < reached + UNIT) cells[at + i] = before & (wanted | any()); /* torn within its unit */
    }
    if (from == NULL) memset(used + at / UNIT, 0, bytes / UNIT);
    if (cut) longjmp(power, 1);
    return 0;
}

static int cell_erase(void *context, uint32_t at)
{
    (void)context;
    return at % PAGE ? 6 : operate(at, PAGE, NULL);
}

static int cell_program(void *context, uint32_t at, const void *from, uint32_t bytes)
{
    (void)context;
    return at % UNIT || bytes % UNIT ? 6 : operate(at, bytes, from);
}

static const struct edgebll_flash flash = {cell_read, cell_erase, cell_program, NULL, PAGE, PAGE};
static struct learner learner;
static struct learner_record kept[RECORDS], end; /* of the undisturbed run: what was kept the n-th time, and the last */

static void erase_all(void)
{
    memset(cells, 0xFF, sizeof cells);
    memset(used, 0, sizeof used);
    operations = 0;
}

/* Learns to the end; whatever goes wrong without a cut is an error of the example. */
static void learn(int remember)
{
    while (learner.record.step < STEPS) {
        int right;
        if (learner_step(&learner, &right)) exit(7);
        if (remember && learner.record.step % LEARNER_KEEP_EVERY == 0) kept[learner.record.step / LEARNER_KEEP_EVERY] = learner.record;
    }
}

/* The power comes back: RAM is garbage. Returns whether what is there is what was being kept (1), or what was kept before (0). */
static int back(uint32_t keeping)
{
    uint32_t times, wanted = keeping / LEARNER_KEEP_EVERY;
    memset(&learner, 0xA5, sizeof learner);
    if (learner_start(&learner, &flash)) exit(8);
    times = learner.record.step / LEARNER_KEEP_EVERY;
    if (learner.record.step % LEARNER_KEEP_EVERY || (times != wanted && times + 1 != wanted)) exit(1);
    if (memcmp(&learner.record, &kept[times], sizeof learner.record)) exit(1);
    return times == wanted;
}

int main(int count, char **words)
{
    static long all, old, young;
    manner = count > 1 ? atoi(words[1]) : 0;
    erase_all();
    if (learner_start(&learner, &flash)) return 8;
    kept[0] = learner.record;
    learn(1);
    end = learner.record;
    all = operations;
    for (second_cut = 1; second_cut <= all; second_cut++) {
        erase_all();
        seed = (uint32_t)second_cut;
        cut_at = second_cut;
        if (learner_start(&learner, &flash)) return 8;
        if (setjmp(power)) {
            /* once more while it does again what was lost; then no more */
            cut_at = cut_at == second_cut ? operations + 1 + second_cut % 40 : 0;
            if (back(learner.record.step)) young++;
            else old++;
        }
        learn(0);
        if (memcmp(&learner.record, &end, sizeof end)) return 1;
    }
    printf("%ld operations, %ld cuts left the old record, %ld the new\n", all, old, young);
    return 0;
}
