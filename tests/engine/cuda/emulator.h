// CUDA's words as plain C++: each thread of a block is a fiber, blocks run one after another.
//
// A fiber runs until it meets a barrier or a shuffle. EMULATED_ORDER says in which order the fibers run between
// barriers: a kernel that lacks a barrier gives other numbers in another order.
#pragma once

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define __device__
#define __global__
#define __shared__
#define __forceinline__ inline
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(n)
#define __popc __builtin_popcount
#define __clz __builtin_clz

struct Dim { unsigned x, y, z; };
static Dim threadIdx, blockIdx, blockDim, gridDim;

struct Fiber {
    ucontext_t context;
    char *stack;
    bool is_done;
    int waits;  // 0: runs, 1: at a barrier of the block, 2: at one of its warp
};

static const int MOST_THREADS = 1024, STACK = 1 << 16, MOST_ROOM = 227 * 1024, GUARD = 4096;
static Fiber fibers[MOST_THREADS];
static ucontext_t scheduler;
static int running;
static double exchanged[MOST_THREADS];
static unsigned long long faults;

static void wait_at(int kind) {
    fibers[running].waits = kind;
    swapcontext(&fibers[running].context, &scheduler);
}

static inline void __syncthreads() { wait_at(1); }

template <class T> static inline T __shfl_xor_sync(unsigned mask, T value, int other) {
    const int me = running, warp = me / 32 * 32;
    if (mask != 0xffffffffu) faults++;
    exchanged[me] = (double)value;
    wait_at(2);
    const T result = (T)exchanged[warp + ((me - warp) ^ other)];
    wait_at(2);
    return result;
}

static inline void sincos_(double x, double *s, double *c) { *s = sin(x), *c = cos(x); }
#define sincos sincos_

// Shared memory, with a guard behind what the launch asked for.
unsigned char room[MOST_ROOM + GUARD] __attribute__((aligned(16)));
