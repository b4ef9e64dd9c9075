/* The firmware: bytes in, answers out, for ever. */
#include "firmware.h"

#include "board.h"
#include "server.h"

void firmware(void)
{
    board_init();
    for (;;) {
        int byte = board_getc(1);
        if (byte >= 0) {
            server_take((uint8_t)byte);
        }
    }
}
