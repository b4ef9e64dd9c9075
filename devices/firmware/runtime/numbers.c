/* Functions of single numbers, in float32 operations of which the specification fixes every one. */
#include <string.h>

#include "plan_words.h"

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float power_of_two(int32_t n)
{
    return from_bits((uint32_t)(n + 127) << 23);
}

/* Divides by 2^shift towards minus infinity: what >> does with negative numbers is up to the compiler. */
static int32_t shift_down(int32_t value, int shift)
{
    return value < 0 ? ~(~value >> shift) : value >> shift;
}

float edgebll_exp(float x)
{
    static const float terms[] = {1.0f / 720.0f, 1.0f / 120.0f, 1.0f / 24.0f, 1.0f / 6.0f, 0.5f, 1.0f, 1.0f};
    float t, r, p;
    int32_t n, half;
    unsigned i;
    if (x != x) return x;
    if (x > 88.72283f) return from_bits(0x7F800000u);
    if (x < -87.33654f) return 0.0f;
    t = x * 1.442695f;
    t = t + (t < 0.0f ? -0.5f : 0.5f);
    n = (int32_t)t;
    r = x - (float)n * 0.693359375f;
    r = r - (float)n * -2.1219444e-4f;
    p = 1.0f / 5040.0f;
    for (i = 0; i < sizeof terms / sizeof *terms; i++) p = p * r + terms[i];
    half = shift_down(n, 1);
    p = p * power_of_two(half);
    return p * power_of_two(n - half);
}

float edgebll_log(float x)
{
    int32_t e = 0, k, b;
    float m, f, s, z, p, u;
    if (!(x >= 0.0f)) return from_bits(0x7FC00000u);
    if (x == 0.0f) return from_bits(0xFF800000u);
    if (bits_of(x) == 0x7F800000u) return x;
    if (x < 1.17549435e-38f) {
        x = x * 8388608.0f;
        e = -23;
    }
    b = (int32_t)bits_of(x);
    k = shift_down(b - 0x3F3504F3, 23);
    e = e + k;
    m = from_bits((uint32_t)(b - k * (1 << 23)));
    f = m - 1.0f;
    s = f / (f + 2.0f);
    z = s * s;
    p = 1.0f / 9.0f;
    p = p * z + 1.0f / 7.0f;
    p = p * z + 1.0f / 5.0f;
    p = p * z + 1.0f / 3.0f;
    p = p * z;
    u = s + s * p;
    u = u + u;
    u = (float)e * -2.1219444e-4f + u;
    return u + (float)e * 0.693359375f;
}

float edgebll_floor(float x)
{
    float whole;
    /* From 2^23 on all numbers are whole; this keeps NaN and infinity, too. */
    if (!(x > -8388608.0f && x < 8388608.0f) || x == 0.0f) return x;
    whole = (float)(int32_t)x;
    if (whole > x) whole = whole - 1.0f;
    return whole;
}

#if defined(__ARM_FP) && (__ARM_FP & 4)
float edgebll_sqrt(float x)
{
    float root;
    __asm__("vsqrt.f32 %0, %1" : "=t"(root) : "t"(x));
    return root;
}
#else
/* Digit by digit in integers, then rounded to nearest: a root is never halfway between two floats. */
float edgebll_sqrt(float x)
{
    uint32_t bits = bits_of(x), mantissa, root = 0, rest = 0;
    int32_t exponent;
    int i;
    if (x != x || x == 0.0f || bits == 0x7F800000u) return x;
    if (x < 0.0f) return from_bits(0x7FC00000u);
    exponent = (int32_t)(bits >> 23);
    mantissa = bits & 0x7FFFFFu;
    if (exponent == 0) {
        exponent = 1;
        while (!(mantissa >> 23)) {
            mantissa <<= 1;
            exponent--;
        }
    }
    mantissa |= 0x800000u;
    exponent -= 127;
    if (exponent & 1) {
        mantissa <<= 1;
        exponent--;
    }
    /* 25 digits of the root of mantissa * 2^25: 24 and one to round by. */
    mantissa <<= 7;
    for (i = 0; i < 25; i++) {
        uint32_t trial;
        rest = rest << 2 | mantissa >> 30;
        mantissa <<= 2;
        trial = root << 2 | 1u;
        root <<= 1;
        if (rest >= trial) {
            rest -= trial;
            root |= 1u;
        }
    }
    root = (root + 1) >> 1;
    return from_bits(root + ((uint32_t)(exponent / 2 + 126) << 23));
}
#endif
