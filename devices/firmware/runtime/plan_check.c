/* Everything that is looked at before a plan runs: the header, the layout, and through plan_check_kernel.c each kernel. */
#include <stddef.h>
#include <string.h>

#include "plan_words.h"

uint32_t edgebll_crc32(const uint8_t *at, uint32_t length)
{
    /* Half a byte at a time: a table of 64 bytes in place of 1 kB. */
    static const uint32_t table[16] = {0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
                                       0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu, 0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu};
    uint32_t crc = 0xFFFFFFFFu;
    while (length--) {
        crc ^= *at++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

int edgebll_plan_needs(const void *bytes, uint32_t length, uint32_t *state_bytes, uint32_t *arena_bytes)
{
    const uint8_t *at = bytes;
    if (length < HEADER_BYTES + CRC_BYTES) return EDGEBLL_SHORT;
    if (memcmp(at, "EBPL", 4) != 0) return EDGEBLL_MAGIC;
    if (at[4] < 1 || at[4] > INT8_VERSION || (at[5] != 2 && at[5] != 4) || at[6] > 2) return EDGEBLL_VERSION;
    if (at[4] > EDGEBLL_PLAN_VERSION) return EDGEBLL_INT8;
    *state_bytes = edgebll_load32(at + 12);
    *arena_bytes = edgebll_load32(at + 16);
    return EDGEBLL_OK;
}

static struct edgebll_port port_at(const struct edgebll_plan *plan, uint32_t number)
{
    const uint8_t *at = plan->bytes + HEADER_BYTES + PORT_BYTES * number;
    struct edgebll_port port;
    port.role = at[0];
    port.dtype = at[1];
    port.index = (uint16_t)(at[2] | at[3] << 8);
    port.offset = edgebll_load32(at + 4);
    port.count = edgebll_load32(at + 8);
    return port;
}

int edgebll_plan_port(const struct edgebll_plan *plan, int role, uint32_t index, struct edgebll_port *port)
{
    uint32_t i;
    for (i = 0; i < plan->ports; i++) {
        *port = port_at(plan, i);
        if (port->role == role && port->index == index) return 1;
    }
    return 0;
}

static int check_ports(const struct edgebll_plan *plan)
{
    uint32_t i;
    for (i = 0; i < plan->ports; i++) {
        struct edgebll_port port = port_at(plan, i);
        uint32_t size;
        if (port.role < EDGEBLL_X || port.role > EDGEBLL_SENT || port.dtype > INT64) return EDGEBLL_OPCODE;
        size = edgebll_size_of((uint32_t)port.dtype << 2);
        if (port.offset > plan->arena_bytes || port.offset % size) return EDGEBLL_RANGE;
        if (port.count > (plan->arena_bytes - port.offset) / size) return EDGEBLL_RANGE;
    }
    return EDGEBLL_OK;
}

static int check_header(struct edgebll_plan *plan, uint32_t length)
{
    const uint8_t *at = plan->bytes;
    uint32_t left;
    int error = edgebll_plan_needs(at, length, &plan->state_bytes, &plan->arena_bytes);
    if (error) return error;
    plan->width = at[5];
    plan->graph = at[6];
    plan->ports = at[7];
    plan->length = edgebll_load32(at + 8);
    plan->constant_bytes = edgebll_load32(at + 20);
    plan->kernels = edgebll_load32(at + 24);
    plan->constants_at = HEADER_BYTES + PORT_BYTES * (uint32_t)plan->ports;
    if (plan->length > length || plan->length < HEADER_BYTES + CRC_BYTES) return EDGEBLL_SHORT;
    if (edgebll_crc32(at, plan->length - CRC_BYTES) != edgebll_load32(at + plan->length - CRC_BYTES)) return EDGEBLL_CRC;
    left = plan->length - CRC_BYTES;
    if (plan->length % 4 || plan->constants_at > left) return EDGEBLL_LAYOUT;
    if (plan->constant_bytes % 4 || plan->constant_bytes > left - plan->constants_at) return EDGEBLL_LAYOUT;
    plan->kernels_at = plan->constants_at + plan->constant_bytes;
    return EDGEBLL_OK;
}

/* Behind the last kernel there are the zeros that fill up to 4 bytes, and nothing else. */
static int check_end(const uint8_t *at, const uint8_t *end)
{
    if (end - at >= 4) return EDGEBLL_LAYOUT;
    while (at < end) {
        if (*at++) return EDGEBLL_LAYOUT;
    }
    return EDGEBLL_OK;
}

int edgebll_plan_check(struct edgebll_plan *plan, const void *bytes, uint32_t length, uint32_t state_bytes, uint32_t arena_bytes,
                       struct edgebll_work *work)
{
    const uint8_t *at, *end;
    uint32_t i;
    int error;
    plan->bytes = bytes;
    plan->error_at = 0;
    error = check_header(plan, length);
    if (error) return error;
    if ((uintptr_t)bytes % 4 || plan->state_bytes > state_bytes || plan->arena_bytes > arena_bytes) return EDGEBLL_MEMORY;
    if ((plan->state_bytes | plan->arena_bytes | plan->length) >> 31) return EDGEBLL_MEMORY;
    error = check_ports(plan);
    if (error) return error;
    at = plan->bytes + plan->kernels_at;
    end = plan->bytes + plan->length - CRC_BYTES;
    for (i = 0; i < plan->kernels; i++) {
        plan->error_at = (uint32_t)(at - plan->bytes);
        at = edgebll_decode(&work->kernel, at, end, plan->width, &error);
        if (at == NULL) return error;
        error = edgebll_check_kernel(plan, &work->kernel);
        if (error) return error;
    }
    plan->error_at = 0;
    return check_end(at, end);
}
