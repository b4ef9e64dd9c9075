#include "frames.h"

#define LONGEST_GROUP 254u

uint32_t frame_crc32(uint32_t crc, const uint8_t *bytes, uint32_t count)
{
    /* Polynomial 0x04C11DB7, reflected, four bits at a time: 64 bytes of table. */
    static const uint32_t table[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
        0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu, 0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu};
    crc = ~crc;
    for (uint32_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ table[crc & 15u];
        crc = (crc >> 4) ^ table[crc & 15u];
    }
    return ~crc;
}

static void append(frame_reader *reader, uint8_t byte)
{
    if (reader->taken < reader->capacity) {
        reader->buffer[reader->taken++] = byte;
    } else {
        reader->overlong = 1;
    }
}

/* A delimiter came: what was the frame before it? */
static frame_event finish(frame_reader *reader)
{
    uint32_t taken = reader->taken;
    uint8_t begun = reader->begun, overlong = reader->overlong, left = reader->left;
    reader->taken = 0;
    reader->begun = reader->overlong = reader->left = reader->code = 0;
    if (!begun) {
        return FRAME_NONE; /* an idle line */
    }
    if (overlong) {
        return FRAME_OVERLONG;
    }
    if (left != 0 || taken < FRAME_CRC_BYTES) {
        return FRAME_DAMAGED;
    }
    reader->length = taken - FRAME_CRC_BYTES;
    uint32_t crc = frame_crc32(0, reader->buffer, reader->length);
    for (uint32_t i = 0; i < FRAME_CRC_BYTES; i++) {
        if (reader->buffer[reader->length + i] != (uint8_t)(crc >> (8u * i))) {
            return FRAME_DAMAGED;
        }
    }
    return FRAME_WHOLE;
}

frame_event frame_read(frame_reader *reader, uint8_t byte)
{
    if (byte == 0) {
        return finish(reader);
    }
    if (reader->left != 0) {
        append(reader, byte);
        reader->left--;
        return FRAME_NONE;
    }
    if (reader->begun && reader->code != LONGEST_GROUP + 1u) {
        append(reader, 0); /* the zero between two groups */
    }
    reader->begun = 1;
    reader->code = byte;
    reader->left = (uint8_t)(byte - 1u);
    return FRAME_NONE;
}

void frame_send(uint8_t *payload, uint32_t count, void (*put)(uint8_t byte))
{
    uint32_t crc = frame_crc32(0, payload, count), start = 0;
    for (uint32_t i = 0; i < FRAME_CRC_BYTES; i++) {
        payload[count++] = (uint8_t)(crc >> (8u * i));
    }
    put(0);
    while (start <= count) {
        uint32_t end = start;
        while (end < count && payload[end] != 0 && end - start < LONGEST_GROUP) {
            end++;
        }
        uint8_t full = end - start == LONGEST_GROUP;
        put((uint8_t)(end - start + 1u));
        while (start < end) {
            put(payload[start++]);
        }
        if (full && end == count) {
            break; /* no empty group behind a full one that ends the frame */
        }
        start = end + (full ? 0u : 1u); /* a group that is not full stands for the zero behind it, too */
    }
    put(0);
}
