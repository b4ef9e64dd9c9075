/*
 * UART of ARM's Cortex-M System Design Kit, as on the MPS2 and MPS3 boards.
 *
 * Registers: Arm Cortex-M System Design Kit Technical Reference Manual, section "APB UART".
 */
#include "board.h"
#include "cortex_m.h"
#include "ring.h"
#define LINE_FEWEST_CLOCKS 16u
#include "line_speed.h"

#define REGISTER(offset) (*(volatile uint32_t *)(BOARD_UART_BASE + (offset)))
#define DATA REGISTER(0x00u)
#define STATE REGISTER(0x04u)
#define CTRL REGISTER(0x08u)
#define INTCLEAR REGISTER(0x0Cu)
#define BAUDDIV REGISTER(0x10u)
#define TX_FULL 1u
#define RX_FULL 2u

void board_init(void)
{
    BAUDDIV = LINE_CLOCKS;
    CTRL = 0x0Bu; /* send, receive, interrupt on receiving */
}

void board_putc(uint8_t byte)
{
    while (STATE & TX_FULL) {
    }
    DATA = byte;
}

void board_rx_interrupt(void)
{
    INTCLEAR = 2u; /* before it drains: a byte that comes meanwhile asks again */
    while (STATE & RX_FULL) {
        ring_put((uint8_t)DATA);
    }
}
