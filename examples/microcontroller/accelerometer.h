/* A simulated accelerometer of three axes: gestures in milli-g, as a sensor's driver would give them. */
#ifndef ACCELEROMETER_H
#define ACCELEROMETER_H

#include <stdint.h>

enum { ACCELEROMETER_READINGS = 16, ACCELEROMETER_AXES = 3 };
enum gesture { GESTURE_REST, GESTURE_SHAKE, GESTURE_CIRCLE, GESTURE_TAP, GESTURES };

/* Takes 16 readings of x, y and z in turn. Equal numbers give equal readings, on every processor: whole numbers alone are computed with. */
enum gesture accelerometer_take(uint32_t number, int16_t readings[ACCELEROMETER_READINGS * ACCELEROMETER_AXES]);

#endif
