/*
 * What compilers want of a C library. Those of libraries are made for long copies and take 800 bytes; what is copied here
 * goes over a serial line, which is slower by far.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#pragma GCC optimize("Os", "no-tree-loop-distribute-patterns") /* or loops become calls of themselves */

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    while (count--) {
        *out++ = *in++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t count)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    if ((uintptr_t)to <= (uintptr_t)from) {
        return memcpy(to, from, count); /* forwards, byte by byte */
    }
    while (count--) {
        out[count] = in[count];
    }
    return to;
}

void *memset(void *at, int byte, size_t count)
{
    uint8_t *out = at;
    while (count--) {
        *out++ = (uint8_t)byte;
    }
    return at;
}

int memcmp(const void *one, const void *other, size_t count)
{
    const uint8_t *a = one, *b = other;
    for (; count; count--, a++, b++) {
        if (*a != *b) {
            return *a - *b;
        }
    }
    return 0;
}
