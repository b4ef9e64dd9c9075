/*
 * What every Cortex-M shares: vector table, start, faults, microseconds by SysTick, the painted stack and the ring of
 * received bytes. A driver of the board's UART adds board_init, board_putc and board_rx_interrupt.
 *
 * Registers: ARMv7-M Architecture Reference Manual, sections B3.2 and B3.3; they are the same in ARMv8-M.
 */
#include <stdint.h>
#include <string.h>

#include "board.h"
#include "cortex_m.h"
#include "firmware.h"
#include "ring.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SYST_CSR REGISTER(0xE000E010u)
#define SYST_RVR REGISTER(0xE000E014u)
#define SYST_CVR REGISTER(0xE000E018u)
#define NVIC_ISER(irq) REGISTER(0xE000E100u + 4u * ((irq) / 32u))
#define SCB_VTOR REGISTER(0xE000ED08u)
#define SCB_AIRCR REGISTER(0xE000ED0Cu)
#define SCB_CPACR REGISTER(0xE000ED88u)

#define TICKS_A_MS (BOARD_CLOCK_HZ / 1000u)
#define PAINT 0xC0DEC0DEu
/* Below the frame that paints: what painting itself may use. */
#define SPARED_BYTES 64u

/* Of cortex_m.ld: addresses, and no objects of C. */
extern uint32_t linked_stack_start[], linked_stack_end[], linked_data_source[], linked_data_start[], linked_data_end[];
extern uint32_t linked_bss_start[], linked_bss_end[], linked_pool_start[], linked_pool_end[];
#define ADDRESS(place) ((uintptr_t)(place))

void board_reset(void);

board_memory_t board_memory;
ring_t board_ring;
static volatile uint32_t milliseconds;

static void tick(void)
{
    milliseconds++;
}

/* Whatever went wrong, the host hears of a restart, loads its blocks again and goes on. */
static void restart(void)
{
    __asm volatile("dsb" ::: "memory");
    SCB_AIRCR = 0x05FA0004u;
    for (;;) {
    }
}

typedef void (*handler_t)(void);
extern const handler_t vectors[];
__attribute__((section(".vectors"), used)) const handler_t vectors[16u + BOARD_RX_IRQ + 1u] = {
    [0] = (handler_t)(uintptr_t)linked_stack_end,
    [1] = board_reset,
    [2] = restart, /* NMI */
    [3] = restart, /* hard fault, to which all others escalate */
    [4] = restart,
    [5] = restart,
    [6] = restart,
    [11] = restart,
    [14] = restart,
    [15] = tick,
    [16u + BOARD_RX_IRQ] = board_rx_interrupt,
};

static void fill(uintptr_t from, uintptr_t to, uint32_t word)
{
    for (; from < to; from += sizeof word) {
        REGISTER(from) = word;
    }
}

void board_reset(void)
{
#ifdef __ARM_FP
    SCB_CPACR |= 0xFu << 20; /* before anything may use a register of the FPU */
    __asm volatile("dsb\n isb" ::: "memory");
#endif
    fill(ADDRESS(linked_stack_start), ADDRESS(__builtin_frame_address(0)) - SPARED_BYTES, PAINT);
    memcpy(linked_data_start, linked_data_source, ADDRESS(linked_data_end) - ADDRESS(linked_data_start));
    fill(ADDRESS(linked_bss_start), ADDRESS(linked_bss_end), 0);
    board_memory.pool = (uint8_t *)linked_pool_start;
    board_memory.pool_bytes = (uint32_t)(ADDRESS(linked_pool_end) - ADDRESS(linked_pool_start));
    board_memory.stack_bytes = (uint32_t)(ADDRESS(linked_stack_end) - ADDRESS(linked_stack_start));
    SCB_VTOR = (uint32_t)ADDRESS(vectors);
    SYST_RVR = TICKS_A_MS - 1u;
    SYST_CVR = 0;
    SYST_CSR = 7; /* the processor's clock, with its interrupt */
    NVIC_ISER(BOARD_RX_IRQ) = 1u << (BOARD_RX_IRQ % 32u);
    firmware();
    restart();
}

int board_getc(int wait)
{
    int byte = ring_take();
    if (byte >= 0 || !wait) {
        return byte;
    }
    __asm volatile("cpsid i" ::: "memory"); /* an interrupt between looking and sleeping wakes it none the less */
    if (board_ring.written == board_ring.taken) {
        __asm volatile("wfi" ::: "memory");
    }
    __asm volatile("cpsie i" ::: "memory");
    return ring_take();
}

uint32_t board_micros(void)
{
    uint32_t before, ticks;
    do {
        before = milliseconds;
        ticks = TICKS_A_MS - 1u - SYST_CVR;
    } while (before != milliseconds);
    return before * 1000u + ticks / (BOARD_CLOCK_HZ / 1000000u);
}

uint32_t board_stack_used(void)
{
    uintptr_t place = ADDRESS(linked_stack_start);
    while (place < ADDRESS(linked_stack_end) && REGISTER(place) == PAINT) {
        place += sizeof(uint32_t);
    }
    return (uint32_t)(ADDRESS(linked_stack_end) - place);
}
