#include "server.h"

#include <string.h>

#include "board.h"
#include "bytes.h"
#include "frames.h"
#include "ring.h"
#include "slots.h"
#include "spike_requests.h"

/* op u8, slot u8, sequence u16 */
#define HEADER_BYTES 4u
/* Requests that a host may have under way: older ones are not done again. */
#define WINDOW 256u
/* Between two signs of life in a long run. */
#ifndef PROGRESS_MICROS
#define PROGRESS_MICROS 250000u
#endif

static uint8_t request[FRAME_BYTES + FRAME_CRC_BYTES], reply[FRAME_BYTES + FRAME_CRC_BYTES];
static frame_reader reader = {request, sizeof request, 0, 0, 0, 0, 0, 0};

/* The session: `boot` names this life of the board, `last` is the sequence number of the last request that was done. */
static uint32_t boot, last;
static struct {
    uint32_t whole, damaged, overlong, naks;
} counters;
static uint32_t told_micros, run_began_micros;

static uint8_t *begin(uint32_t op, uint32_t slot, uint32_t sequence)
{
    reply[0] = (uint8_t)op;
    reply[1] = (uint8_t)slot;
    return put16(reply + 2, sequence);
}

static void answer(const uint8_t *end)
{
    frame_send(reply, (uint32_t)(end - reply), board_putc);
}

static void nak(uint32_t slot, uint32_t sequence, refusal_t refusal)
{
    uint8_t *to = begin(OP_NAK, slot, sequence);
    counters.naks++;
    *to++ = (uint8_t)refusal.reason;
    to = put16(to, last + 1u);
    to = put32(to, boot);
    to = put32(to, refusal.detail);
    answer(put32(to, refusal.where));
}

static void nak_line(nak_reason reason)
{
    refusal_t refusal = {reason, 0, 0};
    nak(0, 0, refusal);
}

/* A sign of life from within a long run. */
static void progress(void)
{
    uint32_t now = board_micros();
    if (now - told_micros >= PROGRESS_MICROS) {
        told_micros = now;
        answer(put32(begin(OP_PROGRESS, request[1], get16(request + 2)), now - run_began_micros));
    }
}

static int done_before(uint32_t sequence)
{
    return ((last - sequence) & 0xFFFFu) < WINDOW;
}

static uint8_t *info(uint8_t *to)
{
    uint32_t name_bytes = sizeof BOARD_NAME - 1u;
    to = put16(to, LINK_VERSION);
    to = put16(to, EDGEBLL_PLAN_VERSION);
    to = put32(to, boot);
    to = put16(to, last);
    to = put32(to, board_memory.pool_bytes);
    to = put16(to, FRAME_BYTES);
    to = put16(to, BOARD_RING_BYTES - 1u);
    to = put32(to, board_memory.stack_bytes);
    to = put32(to, board_stack_used());
    to = put32(to, counters.whole);
    to = put32(to, counters.damaged);
    to = put32(to, counters.overlong);
    to = put32(to, counters.naks);
    to = put32(to, board_memory.lost_bytes);
    *to++ = (uint8_t)name_bytes;
    memcpy(to, BOARD_NAME, name_bytes);
    to += name_bytes;
    *to++ = SLOTS;
    for (uint32_t i = 0; i < SLOTS; i++) {
        *to++ = (uint8_t)slots[i].in_use;
        memcpy(to, slots[i].hash, HASH_BYTES);
        to = put32(to + HASH_BYTES, slots[i].run);
    }
    *to++ = EDGEBLL_PROFILE;
#ifdef EDGEBLL_SPARSE
    *to++ = ABLE_SPIKES;
#endif
    return to;
}

/* OP_WRITE: offset u32, bytes. */
static refusal_t take_write(const uint8_t *body, uint32_t count)
{
    refusal_t refusal = {NAK_MALFORMED, 4, count};
    if (count < 4u) {
        return refusal;
    }
    uint32_t offset = get32(body), bytes = count - 4u;
    refusal.reason = in_pool(offset, bytes) ? NAK_NONE : NAK_RANGE;
    if (refusal.reason == NAK_NONE) {
        slots_written(offset, bytes);
        memcpy(board_memory.pool + offset, body + 4, bytes);
    }
    return refusal;
}

/* OP_READ: offset u32, bytes u16. */
static refusal_t give_read(const uint8_t *body, uint32_t count, uint8_t **to)
{
    refusal_t refusal = {NAK_MALFORMED, 6, count};
    if (count != 6u) {
        return refusal;
    }
    uint32_t offset = get32(body), bytes = get16(body + 4);
    refusal.reason = in_pool(offset, bytes) && bytes <= FRAME_BYTES - HEADER_BYTES ? NAK_NONE : NAK_RANGE;
    if (refusal.reason == NAK_NONE) {
        memcpy(*to, board_memory.pool + offset, bytes);
        *to += bytes;
    }
    return refusal;
}

/* Do a request that is due; `again` if it was done before and the answer was lost. */
static refusal_t handle(uint32_t op, uint32_t slot, const uint8_t *body, uint32_t count, int again, uint8_t **to)
{
    refusal_t refusal = {NAK_NONE, 0, 0};
    if (slot >= SLOTS) {
        refusal.reason = NAK_SLOT;
    } else if (op == OP_READ) {
        refusal = give_read(body, count, to);
    } else if (op == OP_WRITE && !again) {
        refusal = take_write(body, count);
#ifdef EDGEBLL_SPARSE
    } else if (op == OP_READ_SPIKES) {
        refusal = give_spikes(body, count, to, FRAME_BYTES - HEADER_BYTES);
    } else if (op == OP_WRITE_SPIKES && !again) {
        refusal = take_spikes(body, count);
#endif
    } else if (op == OP_SETUP && !again) {
        refusal = slot_set_up(slot, body, count);
    } else if (op == OP_RUN) {
        told_micros = run_began_micros = board_micros();
        refusal = slot_run(slot, body, count, progress);
        *to = put32(put32(begin(OP_RUN | OP_REPLY, slot, get16(request + 2)), slots[slot].run), slots[slot].run_micros);
    } else if (!again) {
        refusal.reason = NAK_UNKNOWN;
    }
    return refusal;
}

static void take_info(uint32_t slot, uint32_t sequence, const uint8_t *body, uint32_t count)
{
    refusal_t malformed = {NAK_MALFORMED, 4, count};
    if (count != 4u) {
        nak(slot, sequence, malformed);
        return;
    }
    if (boot == 0) {
        boot = get32(body) | 1u; /* the first one to ask names this life: no board has to have anything random of its own */
    }
    if (!done_before(sequence)) { /* an old one that comes again must not call back what was done since */
        last = sequence;
    }
    answer(info(begin(OP_INFO | OP_REPLY, slot, sequence)));
}

static void take_request(uint32_t count)
{
    refusal_t refusal = {NAK_MALFORMED, HEADER_BYTES, count};
    if (count < HEADER_BYTES) {
        nak(0, 0, refusal);
        return;
    }
    uint32_t op = request[0], slot = request[1], sequence = get16(request + 2);
    const uint8_t *body = request + HEADER_BYTES;
    count -= HEADER_BYTES;
    counters.whole++;
    if (op >= OP_REPLY) {
        return; /* an answer of our own, come back: the line echoes */
    }
    if (op == OP_INFO) {
        take_info(slot, sequence, body, count);
        return;
    }
    int again = done_before(sequence), due = ((last + 1u) & 0xFFFFu) == sequence;
    refusal.reason = boot == 0 ? NAK_NO_SESSION : NAK_SEQUENCE;
    if (boot == 0 || !(again || due)) {
        nak(slot, sequence, refusal);
        return;
    }
    uint8_t *to = begin(op | OP_REPLY, slot, sequence);
    refusal = handle(op, slot, body, count, again, &to);
    if (refusal.reason != NAK_NONE) {
        nak(slot, sequence, refusal);
        return;
    }
    if (due) {
        last = sequence;
    }
    answer(to);
}

void server_take(uint8_t byte)
{
    switch (frame_read(&reader, byte)) {
    case FRAME_WHOLE:
        take_request(reader.length);
        break;
    case FRAME_DAMAGED:
        counters.damaged++;
        nak_line(NAK_DAMAGED);
        break;
    case FRAME_OVERLONG:
        counters.overlong++;
        nak_line(NAK_OVERLONG);
        break;
    case FRAME_NONE:
        break;
    }
}
