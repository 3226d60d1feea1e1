// One variant of the kernels for the CPU; see emulator.h.
#include "emulator.h"

#include "kernels.cu"

static void (*kernel)(const Tables, const Call);
static const Tables *tables_of_launch;
static const Call *call_of_launch;
static bool highest_first;

static void run_fiber() {
    kernel(*tables_of_launch, *call_of_launch);
    fibers[running].is_done = true;
    swapcontext(&fibers[running].context, &scheduler);
}

static void run_once(int fiber) {
    running = fiber;
    threadIdx.x = fiber;
    swapcontext(&scheduler, &fibers[fiber].context);
}

// Runs every fiber of [first, last) that is free to run.
static bool run_free(int first, int last) {
    bool any = false;
    for (int i = first; i < last; i++) {
        const int fiber = highest_first ? first + last - 1 - i : i;
        if (!fibers[fiber].is_done && fibers[fiber].waits == 0) run_once(fiber), any = true;
    }
    return any;
}

static bool all_at(int first, int last, int kind) {
    bool any = false;
    for (int i = first; i < last; i++) {
        if (fibers[i].is_done) continue;
        if (fibers[i].waits != kind) return false;
        any = true;
    }
    return any;
}

static bool any_done(int first, int last) {
    for (int i = first; i < last; i++)
        if (fibers[i].is_done) return true;
    return false;
}

static void release(int first, int last) {
    // On a card a thread that has returned is missed at barriers of its warp.
    if (any_done(first, last)) faults++;
    for (int i = first; i < last; i++) fibers[i].waits = 0;
}

static int run_block(int threads, unsigned shared) {
    // NaN everywhere: what was not written before it is read shows in the result.
    memset(room, 0xff, sizeof room);
    for (int i = 0; i < threads; i++) {
        Fiber &fiber = fibers[i];
        if (!fiber.stack) fiber.stack = (char *)malloc(STACK);
        fiber.is_done = false, fiber.waits = 0;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack, fiber.context.uc_stack.ss_size = STACK;
        fiber.context.uc_link = 0;
        makecontext(&fiber.context, run_fiber, 0);
    }
    for (;;) {
        bool any = false;
        for (int i = 0; i < threads; i += 32) {
            const int warp = highest_first ? threads - 32 - i : i;
            while (run_free(warp, warp + 32)) any = true;
            if (all_at(warp, warp + 32, 2)) release(warp, warp + 32), any = true;
        }
        if (any) continue;
        if (!all_at(0, threads, 1)) break;
        release(0, threads);
    }
    for (int i = 0; i < threads; i++)
        if (!fibers[i].is_done) return 1;
    for (unsigned i = shared; i < shared + GUARD; i++)
        if (room[i] != 0xff) return 2;
    return faults ? 3 : 0;
}

typedef void (*Kernel)(const Tables, const Call);

extern "C" int emulated_launch(Kernel which, unsigned x, unsigned y, unsigned threads, unsigned shared,
                               void **arguments) {
    if (threads % 32 || threads > MAX_THREADS || shared > MOST_ROOM) return 4;
    kernel = which;
    tables_of_launch = (const Tables *)arguments[0], call_of_launch = (const Call *)arguments[1];
    gridDim = {x, y, 1}, blockDim = {threads, 1, 1};
    faults = 0;
    highest_first = getenv("EMULATED_ORDER") && getenv("EMULATED_ORDER")[0] == '1';
    for (blockIdx.y = 0; blockIdx.y < y; blockIdx.y++)
        for (blockIdx.x = 0; blockIdx.x < x; blockIdx.x++) {
            const int fault = run_block((int)threads, shared);
            if (fault) return fault;
        }
    return 0;
}
