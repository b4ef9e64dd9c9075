/* Two slots, each a head of EDGEBLL_FLASH_BLOCK bytes and the record behind it. */
#include <stddef.h>
#include <string.h>

#include "edgebll_store.h"

enum { ERASED = 0xFF };
static const uint32_t magic = 0x53424545u; /* "EEBS" */

struct head {
    uint32_t magic, number, bytes, crc;
};

/* Goes on with a CRC-32 as zlib's, bit by bit: records are read through a small window, and flash is slower than this. */
static uint32_t crc32(uint32_t crc, const void *bytes, uint32_t count)
{
    const uint8_t *at = bytes;
    crc = ~crc;
    while (count--) {
        int bit;
        crc ^= *at++;
        for (bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1u ? 0xEDB88320u : 0u);
    }
    return ~crc;
}

/* Up to the next whole number of blocks. */
static uint32_t rounded(uint32_t bytes, uint32_t unit)
{
    return (bytes + unit - 1u) / unit * unit;
}

static uint32_t slot_bytes(const struct edgebll_flash *flash, uint32_t record_bytes)
{
    return rounded(EDGEBLL_FLASH_BLOCK + record_bytes, flash->page_bytes);
}

uint32_t edgebll_store_bytes(const struct edgebll_flash *flash, uint32_t record_bytes)
{
    return 2u * slot_bytes(flash, record_bytes);
}

static uint32_t slot_at(const struct edgebll_store *store, uint32_t slot)
{
    return store->flash->at + slot * store->slot_bytes;
}

static uint32_t head_crc(const struct head *head)
{
    return crc32(crc32(0, &head->number, 4), &head->bytes, 4);
}

/* The head of a slot whose record is whole; 0 where it is not, -1 where flash cannot be read. With `record` it is read to there on the way. */
static int read_slot(const struct edgebll_store *store, uint32_t slot, struct head *head, uint8_t *record)
{
    const struct edgebll_flash *flash = store->flash;
    uint32_t at = slot_at(store, slot), done, crc;
    if (flash->read(flash->context, at, head, sizeof *head)) return -1;
    if (head->magic != magic || head->bytes != store->record_bytes || head->number == 0) return 0;
    crc = head_crc(head);
    for (done = 0; done < head->bytes;) {
        uint8_t window[EDGEBLL_FLASH_BLOCK], *to = record != NULL ? record + done : window;
        uint32_t left = head->bytes - done, count = left < sizeof window ? left : (uint32_t)sizeof window;
        if (flash->read(flash->context, at + EDGEBLL_FLASH_BLOCK + done, to, count)) return -1;
        crc = crc32(crc, to, count);
        done += count;
    }
    return crc == head->crc;
}

int edgebll_store_open(struct edgebll_store *store, const struct edgebll_flash *flash, uint32_t record_bytes)
{
    uint32_t slot;
    memset(store, 0, sizeof *store);
    if (flash->page_bytes < EDGEBLL_FLASH_BLOCK || flash->page_bytes % EDGEBLL_FLASH_BLOCK || flash->at % EDGEBLL_FLASH_BLOCK) return EDGEBLL_FLASH;
    if (record_bytes == 0 || record_bytes > 0x3FFFFFFFu) return EDGEBLL_FLASH;
    store->flash = flash;
    store->record_bytes = record_bytes;
    store->slot_bytes = slot_bytes(flash, record_bytes);
    for (slot = 0; slot < 2; slot++) {
        struct head head;
        int whole = read_slot(store, slot, &head, NULL);
        if (whole < 0) return EDGEBLL_FLASH;
        /* Numbers go around: the later of two is less than half of all numbers ahead. */
        if (whole && (store->number == 0 || head.number - store->number < 0x80000000u)) {
            store->number = head.number;
            store->newest = slot;
        }
    }
    return store->number ? EDGEBLL_OK : EDGEBLL_EMPTY;
}

int edgebll_store_read(struct edgebll_store *store, void *record)
{
    struct head head;
    if (store->number == 0) return EDGEBLL_EMPTY;
    return read_slot(store, store->newest, &head, record) == 1 && head.number == store->number ? EDGEBLL_OK : EDGEBLL_FLASH;
}

/* Erases a slot; the page with the head goes first, so from then on the slot counts for nothing. */
static int erase_slot(const struct edgebll_store *store, uint32_t at)
{
    uint32_t done;
    for (done = 0; done < store->slot_bytes; done += store->flash->page_bytes) {
        if (store->flash->erase(store->flash->context, at + done)) return 0;
    }
    return 1;
}

/* Programs bytes in whole blocks, what is left of the last one as if erased. */
static int program(const struct edgebll_flash *flash, uint32_t at, const void *from, uint32_t bytes)
{
    uint32_t done;
    for (done = 0; done < bytes; done += EDGEBLL_FLASH_BLOCK) {
        uint8_t block[EDGEBLL_FLASH_BLOCK];
        uint32_t left = bytes - done;
        memset(block, ERASED, sizeof block);
        memcpy(block, (const uint8_t *)from + done, left < sizeof block ? left : sizeof block);
        if (flash->program(flash->context, at + done, block, sizeof block)) return 0;
    }
    return 1;
}

int edgebll_store_write(struct edgebll_store *store, const void *record)
{
    uint32_t slot = store->number ? 1u - store->newest : 0u, at;
    struct head head, found;
    if (store->flash == NULL) return EDGEBLL_FLASH;
    at = slot_at(store, slot);
    head.magic = magic;
    head.number = store->number + 1u ? store->number + 1u : 1u; /* 0 is none */
    head.bytes = store->record_bytes;
    head.crc = crc32(head_crc(&head), record, store->record_bytes);
    if (!erase_slot(store, at)) return EDGEBLL_FLASH;
    if (!program(store->flash, at + EDGEBLL_FLASH_BLOCK, record, store->record_bytes)) return EDGEBLL_FLASH;
    if (!program(store->flash, at, &head, sizeof head)) return EDGEBLL_FLASH;
    if (read_slot(store, slot, &found, NULL) != 1 || found.number != head.number || found.crc != head.crc) return EDGEBLL_FLASH;
    store->number = head.number;
    store->newest = slot;
    return EDGEBLL_OK;
}
