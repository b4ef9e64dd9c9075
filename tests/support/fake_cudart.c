/* A libcudart for tests: the functions the runtime uses, on the host's memory.
 *
 * As strict as CUDA where mistakes hide: nothing asynchronous happens before a synchronisation; host memory must be pinned; during a
 * capture nothing runs, and what cannot be captured invalidates it. New memory holds garbage, freed memory other garbage.
 * fake_* functions are for the tests: fail the n-th call of a function, count calls and live objects, limit memory.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, INVALID = 1, OUT_OF_MEMORY = 2, NOT_CAPTURABLE = 900, INVALIDATED = 901, ILLEGAL_ADDRESS = 700 };
enum { COPY, SET, CALL, RECORD };
enum { DEVICE, PINNED };
#define MAX_NAMES 64
#define EXPORT __attribute__((visibility("default")))

typedef void (*Function)(void *);
typedef struct { int kind; void *target; const void *source; size_t size; int value; Function function; void *data; } Work;
typedef struct { Work *items; size_t count, room; } Queue;
typedef struct Memory { char *address; size_t size; int where; struct Memory *next; } Memory;
typedef struct { Queue queue; Queue *graph; int capturing, invalid; } Stream;
typedef struct { int passed; float ms; } Event;

static Memory *memories;
static Stream *capturing_stream;
static size_t memory_limit = (size_t)1 << 40, memory_used;
static int live, last_error, driver_version = 12040, runtime_version = 12040, device_count = 1;
static float clock_ms;
static struct { char name[48]; int calls, fail_at, code; } names[MAX_NAMES];

static int entry(const char *name) {
    for (int i = 0; i < MAX_NAMES; i++) {
        if (!names[i].name[0]) snprintf(names[i].name, sizeof names[i].name, "%s", name);
        if (!strcmp(names[i].name, name)) return i;
    }
    abort();
}

static int note(const char *name) { /* count a call; the code it must fail with, or OK */
    int i = entry(name);
    names[i].calls++;
    if (names[i].fail_at && names[i].calls == names[i].fail_at) return last_error = names[i].code;
    return OK;
}

EXPORT void fake_reset(void) {
    memset(names, 0, sizeof names);
    memory_limit = (size_t)1 << 40;
    last_error = OK, driver_version = runtime_version = 12040, device_count = 1, clock_ms = 0;
}
EXPORT int fake_calls(const char *name) { return names[entry(name)].calls; }
EXPORT int fake_live(void) { return live; }
EXPORT void fake_limit(size_t bytes) { memory_limit = bytes; }
EXPORT void fake_versions(int driver, int runtime, int devices) {
    driver_version = driver, runtime_version = runtime, device_count = devices;
}
EXPORT void fake_fail(const char *name, int calls_from_now, int code) {
    int i = entry(name);
    names[i].fail_at = names[i].calls + calls_from_now, names[i].code = code;
}

static int forbidden_in_capture(void) {
    if (!capturing_stream) return OK;
    capturing_stream->invalid = 1;
    return last_error = NOT_CAPTURABLE;
}

static int allocate(void **address, size_t size, int where) {
    if (forbidden_in_capture()) return NOT_CAPTURABLE;
    if (!address || !size) return last_error = INVALID;
    if (memory_used + size > memory_limit) return last_error = OUT_OF_MEMORY;
    Memory *memory = malloc(sizeof *memory);
    *memory = (Memory){aligned_alloc(256, (size + 255) / 256 * 256), size, where, memories};
    memset(memory->address, 0xA5, size);
    memories = memory, memory_used += size, live++;
    *address = memory->address;
    return OK;
}

static int release(void *address, int where) {
    if (forbidden_in_capture()) return NOT_CAPTURABLE;
    for (Memory **at = &memories; *at; at = &(*at)->next) {
        Memory *memory = *at;
        if (memory->address != address || memory->where != where) continue;
        *at = memory->next, memory_used -= memory->size, live--;
        memset(memory->address, 0xDD, memory->size);
        free(memory->address), free(memory);
        return OK;
    }
    return last_error = INVALID;
}

static int inside(const void *address, size_t size, int where) {
    for (Memory *m = memories; m; m = m->next)
        if (m->where == where && (char *)address >= m->address && (char *)address + size <= m->address + m->size) return 1;
    return 0;
}

static void push(Queue *queue, Work work) {
    if (queue->count == queue->room) {
        queue->room = queue->room ? 2 * queue->room : 8;
        queue->items = realloc(queue->items, queue->room * sizeof work);
    }
    queue->items[queue->count++] = work;
}

static int enqueue(Stream *stream, Work work) {
    if (!stream) return last_error = INVALID;
    push(stream->capturing ? stream->graph : &stream->queue, work);
    return OK;
}

static int execute(const Work *work) {
    clock_ms += 1;
    if (work->kind == COPY) memcpy(work->target, work->source, work->size);
    if (work->kind == SET) memset(work->target, work->value, work->size);
    if (work->kind == CALL) work->function(work->data);
    if (work->kind == RECORD) ((Event *)work->target)->passed = 1, ((Event *)work->target)->ms = clock_ms;
    return OK;
}

static int drain(Stream *stream) {
    for (size_t i = 0; i < stream->queue.count; i++) execute(&stream->queue.items[i]);
    stream->queue.count = 0;
    return OK;
}

EXPORT int cudaDriverGetVersion(int *version) { *version = driver_version; return note(__func__); }
EXPORT int cudaRuntimeGetVersion(int *version) { *version = runtime_version; return note(__func__); }
EXPORT int cudaGetDeviceCount(int *count) { *count = device_count; return note(__func__); }
EXPORT int cudaSetDevice(int device) { int e = note(__func__); return e ? e : device ? INVALID : OK; }
EXPORT int cudaGetLastError(void) { int error = last_error; names[entry(__func__)].calls++; last_error = OK; return error; }
EXPORT const char *cudaGetErrorString(int code) {
    return code == OUT_OF_MEMORY ? "out of memory" : code == ILLEGAL_ADDRESS ? "an illegal memory access was encountered"
         : code == NOT_CAPTURABLE ? "operation not permitted when stream is capturing" : code == INVALID ? "invalid argument"
         : code == INVALIDATED ? "operation failed due to a previous error during capture" : "unrecognized error code";
}
EXPORT int cudaDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : attribute == 16 ? 8 : attribute == 18 ? 1 : -1;
    int e = note(__func__);
    return e ? e : device ? INVALID : OK;
}
EXPORT int cudaDeviceGetPCIBusId(char *text, int length, int device) {
    snprintf(text, (size_t)length, "0000:0%d:00.0", device);
    return note(__func__);
}
EXPORT int cudaMemGetInfo(size_t *free_bytes, size_t *total) {
    *total = (size_t)8 << 30, *free_bytes = *total - memory_used;
    return note(__func__);
}
EXPORT int cudaMalloc(void **address, size_t size) { int e = note(__func__); return e ? e : allocate(address, size, DEVICE); }
EXPORT int cudaFree(void *address) { int e = note(__func__); return e ? e : release(address, DEVICE); }
EXPORT int cudaHostAlloc(void **address, size_t size, unsigned flags) {
    int e = note(__func__);
    return e ? e : flags ? INVALID : allocate(address, size, PINNED);
}
EXPORT int cudaFreeHost(void *address) { int e = note(__func__); return e ? e : release(address, PINNED); }
EXPORT int cudaMemcpyAsync(void *target, const void *source, size_t size, int kind, Stream *stream) {
    int e = note(__func__);
    if (e) return e;
    int from = kind == 1 ? PINNED : DEVICE, to = kind == 2 ? PINNED : DEVICE;
    if (kind < 1 || kind > 3 || !inside(source, size, from) || !inside(target, size, to)) return last_error = INVALID;
    return enqueue(stream, (Work){.kind = COPY, .target = target, .source = source, .size = size});
}
EXPORT int cudaMemsetAsync(void *target, int value, size_t size, Stream *stream) {
    int e = note(__func__);
    if (e) return e;
    if (!inside(target, size, DEVICE)) return last_error = INVALID;
    return enqueue(stream, (Work){.kind = SET, .target = target, .size = size, .value = value});
}
EXPORT int cudaLaunchHostFunc(Stream *stream, Function function, void *data) {
    int e = note(__func__);
    return e ? e : enqueue(stream, (Work){.kind = CALL, .function = function, .data = data});
}
EXPORT int cudaStreamCreateWithFlags(Stream **stream, unsigned flags) {
    int e = note(__func__);
    if (e) return e;
    if (flags != 1) return last_error = INVALID;
    *stream = calloc(1, sizeof **stream), live++;
    return OK;
}
EXPORT int cudaStreamSynchronize(Stream *stream) {
    int e = note(__func__);
    if (e) return e;
    if (forbidden_in_capture()) return NOT_CAPTURABLE;
    return drain(stream);
}
EXPORT int cudaStreamDestroy(Stream *stream) {
    int e = note(__func__);
    if (e) return e;
    drain(stream), free(stream->queue.items), free(stream), live--;
    return OK;
}
EXPORT int cudaStreamBeginCapture(Stream *stream, int mode) {
    int e = note(__func__);
    if (e) return e;
    if (mode != 1 || stream->capturing) return last_error = INVALID;
    stream->graph = calloc(1, sizeof *stream->graph), stream->capturing = 1, stream->invalid = 0, live++;
    capturing_stream = stream;
    return OK;
}
EXPORT int cudaStreamEndCapture(Stream *stream, Queue **graph) {
    int e = note(__func__);
    if (!stream->capturing) return last_error = INVALID;
    stream->capturing = 0, capturing_stream = NULL;
    if (stream->invalid || e) {
        free(stream->graph->items), free(stream->graph), live--;
        *graph = NULL;
        return last_error = e ? e : INVALIDATED;
    }
    *graph = stream->graph;
    return OK;
}
EXPORT int cudaGraphInstantiateWithFlags(Queue **executable, Queue *graph, unsigned long long flags) {
    int e = note(__func__);
    if (e) return e;
    if (flags) return last_error = INVALID;
    *executable = calloc(1, sizeof **executable), live++;
    for (size_t i = 0; i < graph->count; i++) push(*executable, graph->items[i]);
    return OK;
}
EXPORT int cudaGraphLaunch(Queue *executable, Stream *stream) {
    int e = note(__func__);
    if (e) return e;
    for (size_t i = 0; i < executable->count; i++) enqueue(stream, executable->items[i]);
    return OK;
}
static int destroy_queue(Queue *queue) { free(queue->items), free(queue), live--; return OK; }
EXPORT int cudaGraphDestroy(Queue *graph) { int e = note(__func__); return e ? e : destroy_queue(graph); }
EXPORT int cudaGraphExecDestroy(Queue *graph) { int e = note(__func__); return e ? e : destroy_queue(graph); }
EXPORT int cudaEventCreateWithFlags(Event **event, unsigned flags) {
    int e = note(__func__);
    if (e) return e;
    if (flags) return last_error = INVALID;
    *event = calloc(1, sizeof **event), live++;
    return OK;
}
EXPORT int cudaEventRecord(Event *event, Stream *stream) {
    int e = note(__func__);
    return e ? e : enqueue(stream, (Work){.kind = RECORD, .target = event});
}
EXPORT int cudaEventSynchronize(Event *event) { int e = note(__func__); return e ? e : event->passed ? OK : INVALID; }
EXPORT int cudaEventElapsedTime(float *ms, Event *start, Event *end) {
    int e = note(__func__);
    if (e) return e;
    if (!start->passed || !end->passed) return last_error = INVALID;
    *ms = end->ms - start->ms;
    return OK;
}
EXPORT int cudaEventDestroy(Event *event) { int e = note(__func__); if (e) return e; free(event), live--; return OK; }
