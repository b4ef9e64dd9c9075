#include "accelerometer.h"

enum { TURN = 4096, GRAVITY = 1000, NOISE = 80 };

/* A new random number; xorshift of 32 bits (Marsaglia 2003). */
static uint32_t chance(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static int32_t between(uint32_t *seed, int32_t low, int32_t high)
{
    return low + (int32_t)(chance(seed) % (uint32_t)(high - low + 1));
}

/* About the sine of an angle, a turn being TURN, times `size`: a parabola for each half turn. */
static int32_t wave(int32_t angle, int32_t size)
{
    int32_t half = TURN / 2, at = angle & (TURN - 1), sign = at < half ? 1 : -1, in = at % half;
    return sign * (in * (half - in) / 1024 * size / 1024);
}

enum gesture accelerometer_take(uint32_t number, int16_t readings[ACCELEROMETER_READINGS * ACCELEROMETER_AXES])
{
    uint32_t seed = number * 2654435761u + 12345u; /* far apart for neighbours; 0 would stay 0 */
    enum gesture gesture;
    int32_t size, speed, phase, tap, i;
    seed = seed ? seed : 1u;
    for (i = 0; i < 8; i++) chance(&seed);
    gesture = (enum gesture)(chance(&seed) >> 8 & 3u);
    size = between(&seed, 500, 1100);
    speed = gesture == GESTURE_SHAKE ? between(&seed, TURN / 6, TURN / 4) : between(&seed, TURN / 16, TURN / 12);
    phase = between(&seed, 0, TURN - 1);
    tap = between(&seed, 2, 11);
    for (i = 0; i < ACCELEROMETER_READINGS; i++) {
        int32_t x = 0, y = 0, z = GRAVITY, angle = phase + i * speed;
        if (gesture == GESTURE_SHAKE) x = wave(angle, size);
        if (gesture == GESTURE_CIRCLE) x = wave(angle, size), y = wave(angle + TURN / 4, size);
        if (gesture == GESTURE_TAP && i >= tap && i < tap + 3) z += i == tap ? size : i == tap + 1 ? -size / 2 : size / 4;
        readings[3 * i] = (int16_t)(x + between(&seed, -NOISE, NOISE));
        readings[3 * i + 1] = (int16_t)(y + between(&seed, -NOISE, NOISE));
        readings[3 * i + 2] = (int16_t)(z + between(&seed, -NOISE, NOISE));
    }
    return gesture;
}
