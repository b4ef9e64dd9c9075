/*
 * Clocks that a bit on the line takes, and whether the board's clock makes the speed that was asked for: both ends may be off, and together no
 * more than 5 %. A board says before how few clocks its UART can count, as LINE_FEWEST_CLOCKS.
 */
#ifndef LINE_SPEED_H
#define LINE_SPEED_H

#define LINE_CLOCKS ((BOARD_CLOCK_HZ + BOARD_BAUD / 2u) / BOARD_BAUD)

#if LINE_CLOCKS < LINE_FEWEST_CLOCKS
#error this board has no such speed: take a lower --baud
#endif
#if LINE_CLOCKS * BOARD_BAUD * 1000u > BOARD_CLOCK_HZ * 1025u || LINE_CLOCKS * BOARD_BAUD * 1000u < BOARD_CLOCK_HZ * 975u
#error the clock of this board makes that speed no nearer than 2.5 %: take another --baud
#endif

#endif
