#include "spike_requests.h"

#include "board.h"
#include "bytes.h"
#include "spikes.h"

/* Built without, this file would be empty, which C has no word for. */
typedef int spike_requests_are_here;

#ifdef EDGEBLL_SPARSE

/* offset u32, numbers u16 */
#define PLACE_BYTES 6u
#define NUMBER_BYTES 4u

refusal_t take_spikes(const uint8_t *body, uint32_t count)
{
    refusal_t refusal = {NAK_MALFORMED, PLACE_BYTES + 1u, count};
    if (count <= PLACE_BYTES) {
        return refusal;
    }
    uint32_t offset = get32(body), numbers = get16(body + 4), coded = count - PLACE_BYTES - 1u;
    if (!in_pool(offset, NUMBER_BYTES * numbers)) {
        refusal.reason = NAK_RANGE;
        return refusal;
    }
    slots_written(offset, NUMBER_BYTES * numbers);
    if (spikes_unpack(body[PLACE_BYTES], body + PLACE_BYTES + 1u, coded, board_memory.pool + offset, numbers)) {
        refusal.reason = NAK_NONE;
    }
    return refusal;
}

refusal_t give_spikes(const uint8_t *body, uint32_t count, uint8_t **to, uint32_t room)
{
    refusal_t refusal = {NAK_MALFORMED, PLACE_BYTES, count};
    if (count != PLACE_BYTES) {
        return refusal;
    }
    uint32_t offset = get32(body), numbers = get16(body + 4);
    refusal.reason = in_pool(offset, NUMBER_BYTES * numbers) && spikes_bytes(numbers) < room ? NAK_NONE : NAK_RANGE;
    if (refusal.reason == NAK_NONE) {
        uint8_t *coding = (*to)++;
        *to = spikes_pack(board_memory.pool + offset, numbers, *to, coding);
    }
    return refusal;
}

#endif
