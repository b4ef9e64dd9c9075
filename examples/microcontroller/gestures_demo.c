#include "gestures_demo.h"

enum { TELL_EVERY = 100 };

void demo_say(const char *text)
{
    while (*text) machine_put(*text++);
}

void demo_say_number(uint32_t number)
{
    if (number > 9) demo_say_number(number / 10);
    machine_put((char)('0' + number % 10));
}

static int tell(int error)
{
    if (error) {
        demo_say(edgebll_error_text(error));
        demo_say("\n");
    }
    return error;
}

int demo_run(struct learner *learner, const struct edgebll_flash *flash, uint32_t until)
{
    uint32_t right = 0, taken = 0;
    int error = learner_start(learner, flash);
    if (error) return tell(error);
    demo_say("from step ");
    demo_say_number(learner->record.step);
    demo_say("\n");
    while (learner->record.step < until) {
        int guessed = 0;
        error = learner_step(learner, &guessed);
        if (error) return tell(error);
        right += (uint32_t)guessed;
        if (++taken < TELL_EVERY) continue;
        demo_say("step ");
        demo_say_number(learner->record.step);
        demo_say(": ");
        demo_say_number(right);
        demo_say(" of 100 right\n");
        right = taken = 0;
    }
    return EDGEBLL_OK;
}

void demo_say_state(const struct learner *learner)
{
    const uint8_t *at = edgebll_state(&learner->block);
    uint32_t hash = 2166136261u, i;
    for (i = 0; i < learner->block.state_bytes; i++) hash = (hash ^ at[i]) * 16777619u;
    demo_say("step ");
    demo_say_number(learner->record.step);
    demo_say(", state ");
    demo_say_number(hash);
    demo_say("\n");
}
