/* The example as firmware of an emulated Cortex-M4F (MPS2 AN386), over the start-up code and UART driver of edgebll's own firmware.
 *
 * The board has no flash of its own. Its PSRAM stands in: the linker gives it to nobody, and a reset leaves it as it is. */
#include <string.h>

#include "board.h"
#include "firmware.h"
#include "gestures_demo.h"

#define PSRAM ((uint8_t *)0x21000000u)
enum { PAGE = 2048, RESET_AT = 330, END_AT = 600 };

void machine_put(char character)
{
    board_putc((uint8_t)character);
}

static int flash_read(void *context, uint32_t at, void *to, uint32_t bytes)
{
    (void)context;
    memcpy(to, PSRAM + at, bytes);
    return 0;
}

static int flash_erase(void *context, uint32_t at)
{
    (void)context;
    memset(PSRAM + at, 0xFF, PAGE);
    return 0;
}

/* As flash does: bits go from 1 to 0 alone. */
static int flash_program(void *context, uint32_t at, const void *from, uint32_t bytes)
{
    uint32_t i;
    (void)context;
    for (i = 0; i < bytes; i++) PSRAM[at + i] &= ((const uint8_t *)from)[i];
    return 0;
}

/* Where this returns, the start-up code resets the board. */
void firmware(void)
{
    static const struct edgebll_flash flash = {flash_read, flash_erase, flash_program, NULL, 0, PAGE};
    static struct learner learner;
    struct edgebll_store store;
    int fresh = edgebll_store_open(&store, &flash, sizeof(struct learner_record)) == EDGEBLL_EMPTY;
    board_init();
    if (demo_run(&learner, &flash, fresh ? RESET_AT : END_AT) == EDGEBLL_OK) {
        demo_say_state(&learner);
        if (fresh) return; /* in the middle of the work: what was learned since the last record is learned again */
    }
    for (;;) board_getc(1);
}
