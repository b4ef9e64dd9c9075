/* What the driver of a UART adds to cortex_m.c. */
#ifndef EDGEBLL_CORTEX_M_H
#define EDGEBLL_CORTEX_M_H

/* Take every byte that has come into the ring (ring_put). */
void board_rx_interrupt(void);

#endif
