#include "spikes.h"

#include <string.h>

/* Built without, this file would be empty, which C has no word for. */
typedef int spikes_are_here;

#ifdef EDGEBLL_SPARSE

/* The two upper bytes of 1.0; all others are 0. */
#define ONE_LOW 0x80u
#define ONE_HIGH 0x3Fu
#define DIGIT_BITS 7u
#define MORE 0x80u

/* A number's spikes: 0 or 1, or 2 for whatever is neither 0.0 nor 1.0. */
static uint32_t spike_at(const uint8_t *number)
{
    if ((number[0] | number[1]) != 0) {
        return 2;
    }
    return (number[2] | number[3]) == 0 ? 0u : number[2] == ONE_LOW && number[3] == ONE_HIGH ? 1u : 2u;
}

static void set_spike(uint8_t *numbers, uint32_t place)
{
    numbers[4u * place + 2u] = ONE_LOW;
    numbers[4u * place + 3u] = ONE_HIGH;
}

static uint8_t *pack_bits(const uint8_t *from, uint32_t count, uint8_t *to)
{
    memset(to, 0, spikes_bytes(count));
    for (uint32_t i = 0; i < count; i++) {
        to[i / 8u] |= (uint8_t)(spike_at(from + 4u * i) << i % 8u);
    }
    return to + spikes_bytes(count);
}

/* As events, where that is fewer than `below` bytes; else NULL. */
static uint8_t *pack_events(const uint8_t *from, uint32_t count, uint8_t *to, uint32_t below)
{
    const uint8_t *end = to + below;
    uint32_t silent = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (spike_at(from + 4u * i) == 0) {
            silent++;
            continue;
        }
        for (; silent >= MORE && to < end; silent >>= DIGIT_BITS) {
            *to++ = (uint8_t)(silent | MORE);
        }
        if (to >= end) {
            return NULL;
        }
        *to++ = (uint8_t)silent;
        silent = 0;
    }
    return to < end ? to : NULL;
}

uint8_t *spikes_pack(const uint8_t *from, uint32_t count, uint8_t *to, uint8_t *coding)
{
    uint8_t *end;
    *coding = SPIKES_NONE;
    for (uint32_t i = 0; i < count; i++) {
        if (spike_at(from + 4u * i) > 1u) {
            return to;
        }
    }
    *coding = SPIKES_EVENTS;
    end = pack_events(from, count, to, spikes_bytes(count));
    if (end == NULL) {
        *coding = SPIKES_BITS;
        end = pack_bits(from, count, to);
    }
    return end;
}

static int unpack_bits(const uint8_t *from, uint32_t bytes, uint8_t *to, uint32_t count)
{
    if (bytes != spikes_bytes(count)) {
        return 0;
    }
    for (uint32_t i = 0; i < 8u * bytes; i++) {
        if ((from[i / 8u] >> i % 8u & 1u) != 0) {
            if (i >= count) {
                return 0;
            }
            set_spike(to, i);
        }
    }
    return 1;
}

static int unpack_events(const uint8_t *from, uint32_t bytes, uint8_t *to, uint32_t count)
{
    uint32_t place = 0, silent = 0, shift = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        silent |= (from[i] & (MORE - 1u)) << shift;
        shift += DIGIT_BITS;
        if (shift > 4u * DIGIT_BITS || (from[i] == 0 && shift > DIGIT_BITS)) {
            return 0; /* longer than it need be */
        }
        if ((from[i] & MORE) == 0) {
            if (silent >= count - place) {
                return 0;
            }
            place += silent;
            set_spike(to, place++);
            silent = shift = 0;
        }
    }
    return shift == 0 && bytes < spikes_bytes(count);
}

int spikes_unpack(uint32_t coding, const uint8_t *from, uint32_t bytes, uint8_t *to, uint32_t count)
{
    memset(to, 0, 4u * count);
    return coding == SPIKES_BITS     ? unpack_bits(from, bytes, to, count)
           : coding == SPIKES_EVENTS ? unpack_events(from, bytes, to, count)
                                     : 0;
}

#endif
