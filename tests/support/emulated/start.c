/* Runs one plan on an emulated Cortex-M without any link: plan and memory are linked in, the result is told over semihosting. */
#include <stdint.h>
#include <string.h>

#include "plan_words.h"
#include "job.h" /* PLAN, STATE, ARENA as lists of words; PLAN_BYTES, STATE_BYTES, ARENA_BYTES */

extern uint32_t stack_top, data_load, data_start, data_end, bss_start, bss_end;
void reset(void);
static void stop(void);

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {&stack_top, (void *)reset, (void *)stop, (void *)stop,
                                                                                  (void *)stop, (void *)stop, (void *)stop};
static const uint32_t plan_words[] = {PLAN};
static uint64_t state[(STATE_BYTES + 7) / 8 + 1], arena[(ARENA_BYTES + 7) / 8 + 1];
static const uint32_t state_words[] = {STATE}, arena_words[] = {ARENA};
static struct edgebll_work work;

static uint32_t semihosting(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void say(const char *name, uint32_t value)
{
    char text[32];
    int at = 0, shift;
    while (*name) text[at++] = *name++;
    text[at++] = '=';
    for (shift = 28; shift >= 0; shift -= 4) text[at++] = "0123456789abcdef"[value >> shift & 15];
    text[at++] = '\n';
    text[at] = 0;
    semihosting(4, text);
}

static void stop(void)
{
    static const uint32_t failed[2] = {0x20026, 1};
    say("fault", 1);
    semihosting(0x20, failed);
    for (;;) {
    }
}

static volatile uint32_t *const systick = (volatile uint32_t *)0xE000E010u;
static uint32_t high_water;

static void paint(void)
{
    volatile uint32_t *at = &bss_end, *top = (volatile uint32_t *)__builtin_frame_address(0) - 16;
    while (at < top) *at++ = 0xC0DEC0DEu;
}

static void measure_stack(void)
{
    volatile uint32_t *at = &bss_end;
    while (*at == 0xC0DEC0DEu) at++;
    high_water = (uint32_t)((uint8_t *)&stack_top - (uint8_t *)at);
}

static void run(void)
{
    struct edgebll_plan plan;
    uint32_t before, after;
    int error, times;
    systick[1] = 0xFFFFFF;
    systick[2] = 0;
    systick[0] = 5;
    before = systick[2];
    error = edgebll_plan_check(&plan, plan_words, PLAN_BYTES, STATE_BYTES, ARENA_BYTES, &work);
    after = systick[2];
    say("error", (uint32_t)error);
    say("check", (before - after) & 0xFFFFFF);
    if (error) return;
    for (times = 0; times < TIMES; times++) {
        before = systick[2];
        edgebll_plan_run(&plan, state, arena, &work);
        after = systick[2];
    }
    say("ticks", (before - after) & 0xFFFFFF);
    say("state", edgebll_crc32((const uint8_t *)state, STATE_BYTES));
    say("arena", edgebll_crc32((const uint8_t *)arena, ARENA_BYTES));
}

void reset(void)
{
    static const uint32_t done[2] = {0x20026, 0};
#if defined(__ARM_FP)
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
    __asm__ volatile("dsb\n isb");
#endif
    memcpy(&data_start, &data_load, (size_t)((uint8_t *)&data_end - (uint8_t *)&data_start));
    memset(&bss_start, 0, (size_t)((uint8_t *)&bss_end - (uint8_t *)&bss_start));
    memcpy(state, state_words, STATE_BYTES);
    memcpy(arena, arena_words, ARENA_BYTES);
    paint();
    run();
    measure_stack();
    say("stack", high_water);
    semihosting(0x20, done);
    for (;;) {
    }
}
