/*
 * USART1 of an STM32F405 / F407 on PA9 (TX) and PA10 (RX), with the clock it has at reset: the internal 16 MHz.
 *
 * Registers: STMicroelectronics RM0090, sections 7.3 (RCC), 8.4 (GPIO) and 30.6 (USART).
 */
#include "board.h"
#include "cortex_m.h"
#include "ring.h"
#define LINE_FEWEST_CLOCKS 8u
#include "line_speed.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define RCC_AHB1ENR REGISTER(0x40023830u)
#define RCC_APB2ENR REGISTER(0x40023844u)
#define GPIOA_MODER REGISTER(0x40020000u)
#define GPIOA_AFRH REGISTER(0x40020024u)
#define USART_SR REGISTER(0x40011000u)
#define USART_DR REGISTER(0x40011004u)
#define USART_BRR REGISTER(0x40011008u)
#define USART_CR1 REGISTER(0x4001100Cu)
#define SR_OVERRUN (1u << 3)
#define SR_RX_FULL (1u << 5)
#define SR_TX_EMPTY (1u << 7)
#define CR1_OVER8 (1u << 15)

/* Eight samples a bit reach twice the speed: 2 Mbaud of 16 MHz. The divisor then has three bits of fraction, not four. */
static uint32_t divisor(uint32_t *over8)
{
    *over8 = LINE_CLOCKS < 16u ? CR1_OVER8 : 0u;
    return *over8 ? ((LINE_CLOCKS & ~7u) << 1) | (LINE_CLOCKS & 7u) : LINE_CLOCKS;
}

void board_init(void)
{
    uint32_t over8;
    RCC_AHB1ENR |= 1u;
    RCC_APB2ENR |= 1u << 4;
    GPIOA_MODER = (GPIOA_MODER & ~(0xFu << 18)) | (0xAu << 18); /* PA9, PA10: alternate function */
    GPIOA_AFRH = (GPIOA_AFRH & ~(0xFFu << 4)) | (0x77u << 4);   /* 7: USART1 */
    USART_BRR = divisor(&over8);
    USART_CR1 = over8 | (1u << 13) | (1u << 5) | (1u << 3) | (1u << 2); /* on, interrupt on receiving, send, receive */
}

void board_putc(uint8_t byte)
{
    while (!(USART_SR & SR_TX_EMPTY)) {
    }
    USART_DR = byte;
}

void board_rx_interrupt(void)
{
    uint32_t status = USART_SR;
    while (status & (SR_RX_FULL | SR_OVERRUN)) {
        uint8_t byte = (uint8_t)USART_DR; /* reading it clears both */
        if (status & SR_OVERRUN) {
            board_memory.lost_bytes++;
        }
        if (status & SR_RX_FULL) {
            ring_put(byte);
        }
        status = USART_SR;
    }
}
