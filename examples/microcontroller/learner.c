#include "learner.h"

#include <string.h>

#include "accelerometer.h"

static const float learning_rate = 0.01f;

int learner_start(struct learner *learner, const struct edgebll_flash *flash)
{
    struct learner_record *record = &learner->record;
    int error;
    memset(learner, 0, sizeof *learner);
    error = edgebll_load(&learner->block, &gestures, record->state, sizeof record->state, learner->arena, sizeof learner->arena, &learner->work);
    if (error) return error;
    record->block = GESTURES_ID;
    error = edgebll_store_open(&learner->store, flash, sizeof *record);
    if (error) return error == EDGEBLL_EMPTY ? EDGEBLL_OK : error; /* nothing yet: from the initial state */
    error = edgebll_store_read(&learner->store, record);
    if (error) return error;
    if (record->block == GESTURES_ID) return EDGEBLL_OK;
    record->block = GESTURES_ID; /* flashed anew with another network: begin again */
    record->step = 0;
    return edgebll_set_state(&learner->block, gestures.state, gestures.state_bytes);
}

static int best(const float *scores)
{
    int i, found = 0;
    for (i = 1; i < GESTURES; i++) found = scores[i] > scores[found] ? i : found;
    return found;
}

int learner_step(struct learner *learner, int *right)
{
    int16_t readings[GESTURES_X_COUNT];
    float x[GESTURES_X_COUNT], y[GESTURES_Y_COUNT] = {0};
    uint32_t i;
    int gesture = accelerometer_take(learner->record.step, readings), error;
    for (i = 0; i < GESTURES_X_COUNT; i++) {
        uint32_t axis = i / ACCELEROMETER_READINGS, at = i % ACCELEROMETER_READINGS; /* the network has a row for each axis */
        x[i] = (float)readings[ACCELEROMETER_AXES * at + axis] / 1000.0f;
    }
    y[gesture] = 1.0f;
    error = edgebll_train(&learner->block, x, y, learning_rate);
    if (error) return error;
    *right = best(learner->block.a) == gesture; /* the scores are from before the update: of a sample never seen */
    learner->record.step++;
    return learner->record.step % LEARNER_KEEP_EVERY ? EDGEBLL_OK : edgebll_store_write(&learner->store, &learner->record);
}
