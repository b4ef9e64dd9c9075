/* Keeps a record in flash through losses of power: what is read is what was last written whole, or what was there before it, never a mixture.
 *
 * A record is any bytes of one size, such as a block's state and the number of its last step in one struct. There are two slots of whole pages. A write
 * erases the older slot, programs the record there, and programs its head last: a number that goes up, and a CRC-32 of number, size and record. A loss of
 * power at any moment leaves the other slot untouched, and a slot without a whole head or with a wrong CRC counts for nothing.
 *
 *     static const struct edgebll_flash flash = {read, erase, program, NULL, 0, 2048, 8};
 *     static struct edgebll_store store;
 *     static struct { uint64_t state[BLOCK0_STATE_BYTES / 8]; uint32_t step; } record;
 *
 *     if (edgebll_store_open(&store, &flash, sizeof record) == EDGEBLL_OK) edgebll_store_read(&store, &record);
 *     edgebll_store_write(&store, &record);
 *
 * The state can be used where it is in the record: give record.state to edgebll_load, then read the record. Flash wears out: with 10,000 erasures a page
 * and a write every ten minutes it lasts for four and a half months in two slots. Write when something was learned, not at every step. */
#ifndef EDGEBLL_STORE_H
#define EDGEBLL_STORE_H

#ifdef __cplusplus
extern "C" {
#endif

#include "edgebll.h"

/* Bytes that a head takes of a slot, and that a program call gets: a whole number of every flash's units. */
#define EDGEBLL_FLASH_BLOCK 64u

/* Flash, in three functions of yours. Each returns 0 when it is done, anything else where it is not; addresses are bytes from wherever yours begins. */
struct edgebll_flash {
    int (*read)(void *context, uint32_t at, void *to, uint32_t bytes);
    int (*erase)(void *context, uint32_t at); /* the page that begins at `at`; all its bytes are 0xFF then */
    /* Erased bytes become what `from` has: EDGEBLL_FLASH_BLOCK bytes at a multiple of that, each unit once after an erasure. */
    int (*program)(void *context, uint32_t at, const void *from, uint32_t bytes);
    void *context; /* for your functions */
    uint32_t at;         /* where the pages of the store begin; edgebll_store_bytes says how many bytes it takes from there */
    uint32_t page_bytes; /* what one erasure erases, a multiple of EDGEBLL_FLASH_BLOCK */
};

/* An open store. Leave it alone. */
struct edgebll_store {
    const struct edgebll_flash *flash;
    uint32_t record_bytes, slot_bytes;
    uint32_t number; /* of the newest record; 0 where there is none */
    uint32_t newest; /* slot, 0 or 1 */
};

/* Bytes of flash that two slots for a record take. */
uint32_t edgebll_store_bytes(const struct edgebll_flash *flash, uint32_t record_bytes);

/* Looks for the newest whole record. Writes nothing.
 *
 * store:         filled in
 * flash:         must stay
 * record_bytes:  of every record
 * Returns EDGEBLL_OK, EDGEBLL_EMPTY where there is none of this size, or EDGEBLL_FLASH where flash cannot be read or is laid out otherwise. After
 * EDGEBLL_EMPTY the store is open, too. */
int edgebll_store_open(struct edgebll_store *store, const struct edgebll_flash *flash, uint32_t record_bytes);

/* Reads the newest record. Returns EDGEBLL_OK, EDGEBLL_EMPTY, or EDGEBLL_FLASH where it has changed since; then *record is of no use. */
int edgebll_store_read(struct edgebll_store *store, void *record);

/* Writes a record and reads it back. Returns EDGEBLL_OK, or EDGEBLL_FLASH where flash does not keep it; the one before then still is the newest. */
int edgebll_store_write(struct edgebll_store *store, const void *record);

#ifdef __cplusplus
}
#endif

#endif
