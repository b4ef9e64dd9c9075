/*
 * What the firmware answers: requests of LINK.md, one frame each, in order. It knows no board but board.h, and of a block's
 * plans no more than blocks.h.
 */
#ifndef EDGEBLL_SERVER_H
#define EDGEBLL_SERVER_H

#include <stdint.h>

/* Version of LINK.md. */
#define LINK_VERSION 1u

/* Blocks that a board can hold at a time. */
#define SLOTS 4u
/* Graphs of a block: its training step, its forward pass and its feedback head. */
#define PLANS 3u

/* What else it can, in the last byte of INFO. */
#define ABLE_SPIKES 1u

/* Longest payload of a frame, in either direction. */
#ifndef FRAME_BYTES
#define FRAME_BYTES 1024u
#endif

enum {
    OP_INFO = 1,
    OP_WRITE = 2,
    OP_READ = 3,
    OP_SETUP = 4,
    OP_RUN = 5,
    OP_WRITE_SPIKES = 6, /* these two where EDGEBLL_SPARSE is defined */
    OP_READ_SPIKES = 7,
    OP_REPLY = 0x80, /* added to the request's */
    OP_PROGRESS = 0xFE,
    OP_NAK = 0xFF
};

typedef enum {
    NAK_NONE = 0,
    NAK_DAMAGED = 1,     /* a frame that is not COBS, or whose CRC differs */
    NAK_OVERLONG = 2,    /* a frame longer than INFO allows */
    NAK_SEQUENCE = 3,    /* a request is missing before this one */
    NAK_NO_SESSION = 4,  /* nobody has asked for INFO since the restart */
    NAK_UNKNOWN = 5,     /* no such request */
    NAK_MALFORMED = 6,   /* shorter or longer than such a request is */
    NAK_RANGE = 7,       /* outside the pool, or not aligned */
    NAK_SLOT = 8,        /* no such slot, or it would overlap another one */
    NAK_PLAN_CRC = 9,    /* the plans in the pool are not those of the request */
    NAK_PLAN = 10,       /* a plan was refused; detail says why */
    NAK_NOT_SET_UP = 11, /* the slot has no such plan */
    NAK_RUN_NUMBER = 12, /* not the run after the last one; detail is the last one */
    NAK_INPUTS = 13      /* the inputs in the pool are not those of the request */
} nak_reason;

/* Take a byte from the line, and answer if it ends a request. */
void server_take(uint8_t byte);

#endif
