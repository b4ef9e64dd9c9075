/* The element programs of a kernel: every slot is there, of the right dtype, and written before it is read. */
#include "plan_words.h"

/* What a program has done so far: a bit for each register written, and for each operand named or written. */
struct trace {
    uint32_t registers, named, written;
};

int edgebll_is_float(const struct edgebll_operand *operand)
{
    return operand->where >> 2 == FLOAT32;
}

int edgebll_reduced(const struct edgebll_kernel *kernel, int loop)
{
    int last = kernel->flags & REDUCE_LANE_KEPT ? kernel->rank - 1 : kernel->rank;
    return kernel->opcode == KERNEL_REDUCE && loop >= (int)kernel->special[REDUCE_KEPT] && loop < last;
}

static int sources_of(int code)
{
    return code >= SELECT && code <= MULSUB ? 3 : (code >= ADD && code <= EQUAL) || code == GATE ? 2 : 1;
}

/* Whether an instruction may name a slot: as a source, or as what it writes where `writes`. */
static int check_slot(const struct edgebll_kernel *kernel, int slot, int any_dtype, int writes, struct trace *trace)
{
    if (slot < EDGEBLL_REGISTERS) {
        if (any_dtype) return EDGEBLL_SLOT;
        if (writes) trace->registers |= 1u << slot;
        return trace->registers >> slot & 1 ? EDGEBLL_OK : EDGEBLL_SLOT;
    }
    slot -= EDGEBLL_REGISTERS;
    if (slot >= kernel->operands || (!any_dtype && !edgebll_is_float(&kernel->operand[slot]))) return EDGEBLL_SLOT;
    trace->named |= 1u << slot;
    if (writes) trace->written |= 1u << slot;
    return EDGEBLL_OK;
}

static int check_program(const struct edgebll_kernel *kernel, int first, int last, struct trace *trace)
{
    for (; first < last; first++) {
        const struct instruction i = edgebll_instruction(kernel, first);
        const uint8_t source[3] = {i.a, i.b, i.c}, *words = kernel->program + 2 * first * kernel->width;
        int sources, number, error;
        /* Of words of four bytes an instruction uses two. */
        if (i.code > LAST_CODE || (kernel->width == 4 && (words[2] | words[3] | words[6] | words[7]))) return EDGEBLL_OPCODE;
        sources = sources_of(i.code);
        for (number = 0; number < 3; number++) {
            if (number >= sources && source[number] != 0) return EDGEBLL_OPCODE;
            error = number < sources ? check_slot(kernel, source[number], i.code == LOAD, 0, trace) : EDGEBLL_OK;
            if (error) return error;
        }
        error = check_slot(kernel, i.d, i.code == STORE, 1, trace);
        if (error) return error;
    }
    return EDGEBLL_OK;
}

/* The prologue writes register 0 and no operand; the epilogue names only what stays where it is while loops are reduced. */
static int check_reduce(const struct edgebll_kernel *kernel, struct trace *trace)
{
    const uint32_t kept = kernel->special[REDUCE_KEPT], prologue = kernel->special[REDUCE_PROLOGUE];
    int error, i, loop;
    if (kept >= kernel->rank || !edgebll_reduced(kernel, (int)kept) || prologue > kernel->instructions) return EDGEBLL_RANK;
    error = check_program(kernel, 0, (int)prologue, trace);
    if (error) return error;
    if (trace->written || !(trace->registers & 1)) return EDGEBLL_SLOT;
    trace->registers = 1;
    trace->named = 0;
    error = check_program(kernel, (int)prologue, kernel->instructions, trace);
    for (i = 0; i < kernel->operands && !error; i++) {
        for (loop = (int)kept; edgebll_reduced(kernel, loop); loop++) {
            if (trace->named >> i & 1 && kernel->extent[loop] > 1 && kernel->operand[i].stride[loop] != 0) error = EDGEBLL_EXTENT;
        }
    }
    return error;
}

int edgebll_check_programs(const struct edgebll_kernel *kernel, uint32_t *written)
{
    struct trace trace = {0, 0, 0};
    int error;
    if (kernel->opcode == KERNEL_REDUCE) error = check_reduce(kernel, &trace);
    else {
        trace.registers = kernel->opcode == KERNEL_ELEMENT ? 0 : 1;
        error = check_program(kernel, 0, kernel->instructions, &trace);
    }
    *written = trace.written;
    return error;
}
