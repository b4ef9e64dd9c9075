/* Requests that write and read spikes of the pool in few bytes. Compiled with EDGEBLL_SPARSE. */
#ifndef EDGEBLL_SPIKE_REQUESTS_H
#define EDGEBLL_SPIKE_REQUESTS_H

#include <stdint.h>

#include "slots.h"

/* OP_WRITE_SPIKES: offset u32, numbers u16, coding u8, bytes. */
refusal_t take_spikes(const uint8_t *body, uint32_t count);

/* OP_READ_SPIKES: offset u32, numbers u16. The reply, at most `room` bytes at *to: coding u8, bytes; none where there are other numbers. */
refusal_t give_spikes(const uint8_t *body, uint32_t count, uint8_t **to, uint32_t room);

#endif
