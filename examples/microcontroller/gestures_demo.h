/* What the example does on every machine; a machine gives it flash and a place for text. */
#ifndef GESTURES_DEMO_H
#define GESTURES_DEMO_H

#include "learner.h"

/* Put a character where people see it. Of the machine. */
void machine_put(char character);

void demo_say(const char *text);
void demo_say_number(uint32_t number);

/* Learns until a step and says how well; returns EDGEBLL_OK or an error, which is said, too. */
int demo_run(struct learner *learner, const struct edgebll_flash *flash, uint32_t until);

/* Says a fingerprint of the state (FNV-1a of 32 bits), by which machines can be compared. */
void demo_say_state(const struct learner *learner);

#endif
