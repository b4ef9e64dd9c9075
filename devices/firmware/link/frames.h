/*
 * Frames on a line of bytes, as edgebll/kernel/wire/serial_frames.py has them:
 *
 *     0x00  COBS(payload, CRC-32 of the payload, little endian)  0x00
 *
 * 0x00 never occurs inside a frame, so that a reader finds the next frame after any damage. The zero in front, which the
 * reader takes for an idle line, keeps noise before a frame out of it. Nothing here knows of a board or keeps anything
 * but what is in the structures.
 */
#ifndef EDGEBLL_FRAMES_H
#define EDGEBLL_FRAMES_H

#include <stdint.h>

/* Bytes behind the payload of a frame that its buffer must have room for. */
#define FRAME_CRC_BYTES 4u

/* CRC-32 as zlib's: begin with 0, go on with what came before. */
uint32_t frame_crc32(uint32_t crc, const uint8_t *bytes, uint32_t count);

/* What a byte has brought. */
typedef enum {
    FRAME_NONE,    /* nothing yet */
    FRAME_WHOLE,   /* a frame; its payload lies in the buffer */
    FRAME_DAMAGED, /* a frame that is not COBS, or whose CRC differs */
    FRAME_OVERLONG /* a frame longer than the buffer */
} frame_event;

/*
 * A reader of frames. Set buffer and capacity (longest payload + FRAME_CRC_BYTES) and clear the rest. After FRAME_WHOLE the
 * payload is buffer[0 .. length), until the next byte is given.
 */
typedef struct {
    uint8_t *buffer;
    uint32_t capacity;
    uint32_t length;
    uint32_t taken;      /* bytes of the buffer that are filled */
    uint8_t code, left;  /* of the COBS group that is being read */
    uint8_t begun, overlong;
} frame_reader;

frame_event frame_read(frame_reader *reader, uint8_t byte);

/*
 * Send a payload as a frame, byte by byte. The buffer must have room for FRAME_CRC_BYTES behind the payload: the CRC goes there.
 */
void frame_send(uint8_t *payload, uint32_t count, void (*put)(uint8_t byte));

#endif
