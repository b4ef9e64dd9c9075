/* The calls of edgebll.h: inputs go to the ports of checked plans, a plan runs, results are where its ports are. */
#include <stddef.h>
#include <string.h>

#include "edgebll.h"

enum { GRAPH_STEP, GRAPH_FORWARD, GRAPH_FEEDBACK };

static uint32_t port_bytes(const struct edgebll_port *port)
{
    static const uint8_t sizes[] = {4, 1, 4, 8};
    return port->count * sizes[port->dtype];
}

/* Whether a plan has a port, as it has to; count 0 stands for one that is not there. */
static int take_port(const struct edgebll_plan *plan, int role, uint32_t index, struct edgebll_port *port)
{
    if (edgebll_plan_port(plan, role, index, port)) return 1;
    memset(port, 0, sizeof *port);
    return 0;
}

/* Whether a training step takes or gives this part of what the forward pass does: all of it, or a chunk in time. */
static int is_part(uint32_t part, uint32_t whole, uint32_t chunks)
{
    return part == whole || (chunks > 1 && whole % chunks == 0 && part == whole / chunks);
}

static int same_kind(const struct edgebll_port *one, const struct edgebll_port *other)
{
    return one->dtype == other->dtype && one->count == other->count;
}

static int check(struct edgebll_plan *plan, const void *bytes, uint32_t length, int graph, const struct edgebll_block *block,
                 uint32_t arena_bytes)
{
    int error = edgebll_plan_check(plan, bytes, length, block->state_bytes, arena_bytes, block->work);
    if (error) return error;
    return plan->graph == graph && plan->state_bytes == block->state_bytes ? EDGEBLL_OK : EDGEBLL_UNLIKE;
}

/* What the step takes and gives. A second scalar is what tells where samples begin, if they are cut in time. */
static int take_step_ports(struct edgebll_block *block, uint32_t chunks)
{
    struct edgebll_port port;
    const uint32_t scalars = chunks > 1 ? 2 : 1;
    if (take_port(&block->step, EDGEBLL_RECEIVED, 0, &port) || take_port(&block->step, EDGEBLL_SCALAR, scalars, &port)) return EDGEBLL_INPUTS;
    if (chunks > 1 && !take_port(&block->step, EDGEBLL_SCALAR, 1, &block->reset)) return EDGEBLL_UNLIKE;
    if (!take_port(&block->step, EDGEBLL_X, 0, &block->x) || !take_port(&block->step, EDGEBLL_A, 0, &port)) return EDGEBLL_UNLIKE;
    block->step_a_count = port.count;
    block->step_a_at = port.offset;
    take_port(&block->step, EDGEBLL_METRIC, 0, &port);
    block->metric_count = port.count;
    block->metrics_at = port.offset;
    take_port(&block->step, EDGEBLL_Y, 0, &block->y);
    take_port(&block->step, EDGEBLL_SCALAR, 0, &block->lr);
    block->y_bytes = port_bytes(&block->y);
    block->train_x_bytes = port_bytes(&block->x);
    return EDGEBLL_OK;
}

/* What the forward pass takes and gives: the same as the step, where there is one, or all chunks of it. */
static int take_forward_ports(struct edgebll_block *block, uint32_t chunks)
{
    struct edgebll_port port;
    if (take_port(&block->forward, EDGEBLL_RECEIVED, 0, &port)) return EDGEBLL_INPUTS;
    if (!take_port(&block->forward, EDGEBLL_X, 0, &block->forward_x)) return EDGEBLL_UNLIKE;
    if (!take_port(&block->forward, EDGEBLL_A, 0, &port)) return EDGEBLL_UNLIKE;
    if (block->has_step && (block->x.dtype != block->forward_x.dtype || !is_part(block->x.count, block->forward_x.count, chunks) ||
                            !is_part(block->step_a_count, port.count, chunks)))
        return EDGEBLL_UNLIKE;
    block->x_bytes = port_bytes(&block->forward_x);
    block->a_count = block->forward_a_count = port.count;
    block->forward_a_at = port.offset;
    return EDGEBLL_OK;
}

static int take_feedback_ports(struct edgebll_block *block)
{
    struct edgebll_port port;
    if (!take_port(&block->feedback, EDGEBLL_Y, 0, &block->feedback_y) || !same_kind(&block->feedback_y, &block->y)) return EDGEBLL_UNLIKE;
    if (!take_port(&block->feedback, EDGEBLL_A, 0, &port)) return EDGEBLL_UNLIKE;
    block->beta_count = port.count;
    block->beta_at = port.offset;
    block->has_feedback = 1;
    return EDGEBLL_OK;
}

int edgebll_load(struct edgebll_block *block, const struct edgebll_exported *exported, void *state, uint32_t state_bytes, void *arena,
                 uint32_t arena_bytes, struct edgebll_work *work)
{
    int error;
    memset(block, 0, sizeof *block);
    if ((uintptr_t)state % 8 || (uintptr_t)arena % 8 || exported->state_bytes > state_bytes) return EDGEBLL_MEMORY;
    block->state = state;
    block->arena = arena;
    block->work = work;
    block->state_bytes = exported->state_bytes;
    block->has_step = exported->step != NULL;
    error = check(&block->forward, exported->forward, exported->forward_bytes, GRAPH_FORWARD, block, arena_bytes);
    if (!error && block->has_step) {
        error = check(&block->step, exported->step, exported->step_bytes, GRAPH_STEP, block, arena_bytes);
        if (!error) error = take_step_ports(block, exported->chunks);
    }
    if (!error) error = take_forward_ports(block, exported->chunks);
    if (!error && exported->feedback != NULL) {
        error = check(&block->feedback, exported->feedback, exported->feedback_bytes, GRAPH_FEEDBACK, block, arena_bytes);
        if (!error) error = take_feedback_ports(block);
    }
    if (error) return error;
    memcpy(block->state, exported->state, block->state_bytes);
    block->loaded = 1;
    return EDGEBLL_OK;
}

/* Without a function of the C library: what is not finite is not 0 when it is taken from itself. */
static int is_finite(float value)
{
    return value - value == 0.0f;
}

static int all_finite(const struct edgebll_port *port, const void *from)
{
    const uint8_t *at = from;
    uint32_t i;
    if (port->dtype != 0) return 1;
    for (i = 0; i < port->count; i++) {
        float value;
        memcpy(&value, at + 4 * (size_t)i, sizeof value);
        if (!is_finite(value)) return 0;
    }
    return 1;
}

/* memmove, for x may be what another block left in the same arena. */
static void put(const struct edgebll_block *block, const struct edgebll_port *port, const void *from)
{
    if (port->count) memmove(block->arena + port->offset, from, port_bytes(port));
}

static const float *floats_at(const struct edgebll_block *block, uint32_t offset)
{
    return (const float *)(const void *)(block->arena + offset);
}

static void forget_results(struct edgebll_block *block)
{
    block->a = block->metrics = block->beta = NULL;
}

int edgebll_train(struct edgebll_block *block, const void *x, const void *y, float lr)
{
    return edgebll_train_chunk(block, x, y, lr, 1);
}

int edgebll_train_chunk(struct edgebll_block *block, const void *x, const void *y, float lr, int begins)
{
    const float reset = begins ? 1.0f : 0.0f;
    if (!block->loaded) return EDGEBLL_NOT_LOADED;
    if (!block->has_step) return EDGEBLL_NO_STEP;
    if (!is_finite(lr) || lr < 0.0f || !all_finite(&block->x, x) || !all_finite(&block->y, y)) return EDGEBLL_NOT_FINITE;
    forget_results(block);
    put(block, &block->x, x);
    put(block, &block->y, y);
    put(block, &block->lr, &lr);
    put(block, &block->reset, &reset);
    edgebll_plan_run(&block->step, block->state, block->arena, block->work);
    block->a = floats_at(block, block->step_a_at);
    block->a_count = block->step_a_count;
    block->metrics = floats_at(block, block->metrics_at);
    return EDGEBLL_OK;
}

int edgebll_predict(struct edgebll_block *block, const void *x)
{
    if (!block->loaded) return EDGEBLL_NOT_LOADED;
    if (!all_finite(&block->forward_x, x)) return EDGEBLL_NOT_FINITE;
    forget_results(block);
    put(block, &block->forward_x, x);
    edgebll_plan_run(&block->forward, block->state, block->arena, block->work);
    block->a = floats_at(block, block->forward_a_at);
    block->a_count = block->forward_a_count;
    return EDGEBLL_OK;
}

int edgebll_feedback(struct edgebll_block *block, const void *y)
{
    if (!block->loaded) return EDGEBLL_NOT_LOADED;
    if (!block->has_feedback) return EDGEBLL_NO_FEEDBACK;
    if (!all_finite(&block->feedback_y, y)) return EDGEBLL_NOT_FINITE;
    forget_results(block);
    put(block, &block->feedback_y, y);
    edgebll_plan_run(&block->feedback, block->state, block->arena, block->work);
    block->beta = floats_at(block, block->beta_at);
    return EDGEBLL_OK;
}

const void *edgebll_state(const struct edgebll_block *block)
{
    return block->loaded ? block->state : NULL;
}

int edgebll_set_state(struct edgebll_block *block, const void *state, uint32_t bytes)
{
    if (!block->loaded) return EDGEBLL_NOT_LOADED;
    if (bytes != block->state_bytes) return EDGEBLL_STATE_SIZE;
    memmove(block->state, state, bytes); /* it may be where the state is: a store can read there at once */
    return EDGEBLL_OK;
}
