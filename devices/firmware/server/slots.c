#include "slots.h"

#include <string.h>

#include "board.h"
#include "bytes.h"
#include "frames.h"

#define SPAN_BYTES 8u
#define SETUP_BYTES (HASH_BYTES + 8u + SPAN_BYTES * (2u + PLANS))
#define RUN_BYTES 10u
#define ALIGNMENT 8u

slot_t slots[SLOTS];

static const refusal_t done = {NAK_NONE, 0, 0};

static refusal_t refuse(nak_reason reason, uint32_t detail, uint32_t where)
{
    refusal_t refusal = {reason, detail, where};
    return refusal;
}

int in_pool(uint32_t offset, uint32_t bytes)
{
    return offset <= board_memory.pool_bytes && bytes <= board_memory.pool_bytes - offset;
}

static span_t get_span(const uint8_t *from)
{
    span_t span = {get32(from), get32(from + 4)};
    return span;
}

static int usable(span_t span)
{
    return in_pool(span.offset, span.bytes) && span.offset % ALIGNMENT == 0;
}

static int overlap(span_t a, span_t b)
{
    return a.bytes != 0 && b.bytes != 0 && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

static int overlaps_plans(const slot_t *slot, span_t span)
{
    for (uint32_t i = 0; i < PLANS; i++) {
        if (overlap(slot->plans[i], span)) {
            return 1;
        }
    }
    return 0;
}

/* Whether what one block writes is nothing that the other must keep. */
static int harmless(const slot_t *writer, const slot_t *other)
{
    return !overlaps_plans(other, writer->state) && !overlaps_plans(other, writer->arena) &&
           !overlap(other->state, writer->arena);
}

static int apart(const slot_t *wanted, uint32_t slot)
{
    if (!harmless(wanted, wanted)) {
        return 0;
    }
    for (uint32_t i = 0; i < SLOTS; i++) {
        const slot_t *other = &slots[i];
        if (i != slot && (overlap(wanted->state, other->state) || !harmless(wanted, other) || !harmless(other, wanted))) {
            return 0;
        }
    }
    return 1;
}

void slots_written(uint32_t offset, uint32_t bytes)
{
    span_t written = {offset, bytes};
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (overlaps_plans(&slots[i], written)) {
            memset(&slots[i], 0, sizeof slots[i]);
        }
    }
}

static refusal_t check_plans(slot_t *wanted, uint32_t crc)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < PLANS; i++) {
        found = frame_crc32(found, board_memory.pool + wanted->plans[i].offset, wanted->plans[i].bytes);
    }
    if (found != crc) {
        return refuse(NAK_PLAN_CRC, 0, 0);
    }
    for (uint32_t i = 0; i < PLANS; i++) {
        span_t plan = wanted->plans[i];
        if (plan.bytes == 0) {
            continue;
        }
        int why = block_check(&wanted->checked[i], board_memory.pool + plan.offset, plan.bytes, wanted->state.bytes,
                              wanted->arena.bytes);
        if (why != 0) {
            return refuse(NAK_PLAN, (uint32_t)why, i << 24 | (wanted->checked[i].error_at & 0xFFFFFFu));
        }
    }
    return done;
}

refusal_t slot_set_up(uint32_t slot, const uint8_t *body, uint32_t count)
{
    slot_t wanted;
    if (count != SETUP_BYTES) {
        return refuse(NAK_MALFORMED, SETUP_BYTES, count);
    }
    memset(&wanted, 0, sizeof wanted);
    memcpy(wanted.hash, body, HASH_BYTES);
    wanted.run = get32(body + HASH_BYTES);
    const uint8_t *spans = body + HASH_BYTES + 8u;
    for (uint32_t i = 0; i < 2u + PLANS; i++) {
        span_t *span = i == 0 ? &wanted.state : i == 1u ? &wanted.arena : &wanted.plans[i - 2u];
        *span = get_span(spans + SPAN_BYTES * i);
        if (!usable(*span)) {
            return refuse(NAK_RANGE, span->offset, span->bytes);
        }
        wanted.in_use |= i >= 2u && span->bytes != 0;
    }
    memset(&slots[slot], 0, sizeof slots[slot]); /* whatever comes, the block before is gone */
    if (!apart(&wanted, slot)) {
        return refuse(NAK_SLOT, slot, 0);
    }
    refusal_t refusal = check_plans(&wanted, get32(body + HASH_BYTES + 4u));
    if (refusal.reason == NAK_NONE) {
        slots[slot] = wanted;
    }
    return refusal;
}

static refusal_t check_inputs(const slot_t *slot, const uint8_t *spans, uint32_t count, uint32_t crc)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        span_t span = get_span(spans + SPAN_BYTES * i);
        if (!in_pool(span.offset, span.bytes)) {
            return refuse(NAK_RANGE, span.offset, span.bytes);
        }
        found = frame_crc32(found, board_memory.pool + span.offset, span.bytes);
    }
    return found == crc ? done : refuse(NAK_INPUTS, found, slot->run);
}

refusal_t slot_run(uint32_t number, const uint8_t *body, uint32_t count, void (*progress)(void))
{
    slot_t *slot = &slots[number];
    if (count < RUN_BYTES || count != RUN_BYTES + SPAN_BYTES * body[1]) {
        return refuse(NAK_MALFORMED, RUN_BYTES, count);
    }
    uint32_t plan = body[0], run = get32(body + 2);
    if (plan >= PLANS || slot->plans[plan].bytes == 0) {
        return refuse(NAK_NOT_SET_UP, plan, number);
    }
    if (run != slot->run) {
        if (run != slot->run + 1u) {
            return refuse(NAK_RUN_NUMBER, slot->run, run);
        }
        refusal_t refusal = check_inputs(slot, body + RUN_BYTES, body[1], get32(body + 6));
        if (refusal.reason != NAK_NONE) {
            return refusal;
        }
        uint32_t began = board_micros();
        block_run(&slot->checked[plan], board_memory.pool + slot->state.offset, board_memory.pool + slot->arena.offset, progress);
        slot->run = run;
        slot->run_micros = board_micros() - began;
    }
    return done;
}
