// One thread block and the amplitudes that it works on, in shared memory: all of some small states, or one
// coset of a large one. A group of steps mixes 2**HELD amplitudes at a time, which a thread holds in registers.
#pragma once
#include "steps.cuh"

struct Block {
    Amplitude *ket, *bra;
    Matrix *matrices;
    real *slots;
    Step *steps;
    int width, samples, cells, span, base;
    long long first_sample;
};

extern __shared__ __align__(16) unsigned char room[];

DEVICE Block block_of(const Tables &t, const Call &c, bool has_bra) {
    Block b;
    b.width = (int)t.width, b.samples = 1 << c.log_samples, b.cells = (int)c.cells, b.base = 0;
    const int threads_a_sample = 1 << (b.width - HELD);
    b.span = threads_a_sample < 32 ? threads_a_sample : 32;
    b.first_sample = (long long)blockIdx.x << c.log_samples;
    // A state of less than a line takes a whole one.
    const int amplitudes = (1 << b.width) * b.samples < 32 ? 32 : (1 << b.width) * b.samples;
    b.ket = (Amplitude *)room;
    b.bra = b.ket + amplitudes;
    b.matrices = (Matrix *)(has_bra ? b.bra + amplitudes : b.bra);
    b.slots = (real *)(b.matrices + c.window_rows * b.samples);
    b.steps = (Step *)(b.slots + 3 * c.window_rows * b.cells);
    return b;
}

// The sample that a row of the block belongs to; those beyond the batch repeat its last one.
DEVICE long long sample_at(const Call &c, const Block &b, int within) {
    const long long sample = b.first_sample + within;
    return sample < c.batch ? sample : c.batch - 1;
}

DEVICE int first_row_of(const Tables &t, int window) { return t.groups[t.windows[window] * GROUP_ROW + FIRST]; }

DEVICE int last_row_of(const Tables &t, int window) {
    return t.groups[(t.windows[window + 1] - 1) * GROUP_ROW + LAST];
}

// Brings a window's steps and matrices into shared memory, and clears their slopes.
DEVICE void stage(const Tables &t, const Call &c, const Block &b, int window) {
    const int first = first_row_of(t, window), count = last_row_of(t, window) - first;
    for (int i = threadIdx.x; i < count; i += blockDim.x) b.steps[i] = t.steps[first + i];
    for (int i = threadIdx.x; i < 3 * count * b.cells; i += blockDim.x) b.slots[i] = 0;
    for (int i = threadIdx.x; i < count * b.samples; i += blockDim.x) {
        const int at = i % count, within = i / count;
        const Step &step = t.steps[first + at];
        const bool batched = step.flags & BATCHED;
        if (within && !batched) continue;
        const long long sample = sample_at(c, b, within);
        Matrix &into = b.matrices[at * b.samples + within];
        if (c.matrices)
            into = ((const Matrix *)c.matrices)[(first + at - c.first_row) * c.batch + (batched ? sample : 0)];
        else
            fill_matrix(t, c, step.number, sample, into);
    }
}

// One step for one thread: its matrix, as this thread's first pair wants it, and which pairs differ.
struct Turned {
    Matrix m;
    int cross, control_cross, control;
    real sign;
};

DEVICE Turned turned(const Block &b, const Step &step, int at, int row) {
    Turned result;
    const int within = step.flags & BATCHED ? row >> b.width : 0;
    const bool is_reversed = odd(step.mask & row) ^ odd(step.outer & b.base);
    const Matrix m = b.matrices[at * b.samples + within];
    result.m = reversed(m, is_reversed);
    result.sign = is_reversed ? -1 : 1;
    result.cross = step.cross, result.control_cross = step.control_cross;
    // 0 or 1: the parity that a pair has to have; pairs of a step without a control all have 0.
    result.control = 0;
    if (step.flags & CONTROLLED)
        result.control = odd(step.control & row) ^ odd(step.control_outer & b.base) ^ step.control_value;
    return result;
}

template <int BIT> DEVICE void apply_on(const Turned &step, Amplitude *x) {
#pragma unroll
    for (int j = 0; j < SIZE; j++) {
        if (j & BIT || odd(step.control_cross & j) != step.control) continue;
        mix(reversed(step.m, odd(step.cross & j)), x[j], x[j | BIT]);
    }
}

// Without a control, and with all pairs in one order.
template <int BIT> DEVICE void apply_plain(const Turned &step, Amplitude *x) {
#pragma unroll
    for (int j = 0; j < SIZE; j++)
        if (!(j & BIT)) mix(step.m, x[j], x[j | BIT]);
}

template <int BIT> DEVICE void undo_on(const Turned &step, Amplitude *ket, Amplitude *bra, real *slopes) {
    const Matrix m = adjoint(step.m);
#pragma unroll
    for (int j = 0; j < SIZE; j++) {
        if (j & BIT || odd(step.control_cross & j) != step.control) continue;
        const bool is_crossed = odd(step.cross & j);
        add_slopes(bra[j], bra[j | BIT], ket[j], ket[j | BIT], is_crossed ? -step.sign : step.sign, slopes);
        mix(reversed(m, is_crossed), ket[j], ket[j | BIT]);
        mix(reversed(m, is_crossed), bra[j], bra[j | BIT]);
    }
}

template <int BIT> DEVICE void undo_plain(const Turned &step, Amplitude *ket, Amplitude *bra, real *slopes) {
    const Matrix m = adjoint(step.m);
#pragma unroll
    for (int j = 0; j < SIZE; j++) {
        if (j & BIT) continue;
        add_slopes(bra[j], bra[j | BIT], ket[j], ket[j | BIT], step.sign, slopes);
        mix(m, ket[j], ket[j | BIT]);
        mix(m, bra[j], bra[j | BIT]);
    }
}

// Without undoing the step.
template <int BIT> DEVICE void add_slopes_on(const Turned &step, Amplitude *ket, Amplitude *bra, real *slopes) {
#pragma unroll
    for (int j = 0; j < SIZE; j++)
        if (!(j & BIT)) add_slopes(bra[j], bra[j | BIT], ket[j], ket[j | BIT], step.sign, slopes);
}

// A branch for each axis: registers have no addresses.
#define ON_AXIS(axis, function, ...)                         \
    if (HELD == 1 || (axis) == 0) function<1>(__VA_ARGS__);  \
    else if (HELD == 2 || (axis) == 1) function<2>(__VA_ARGS__); \
    else function<4>(__VA_ARGS__);

DEVICE bool is_plain(const Step &step) { return !(step.cross | (step.flags & CONTROLLED)); }

// The first of the rows that a thread holds: k, with 0 inserted at the group's pivots.
DEVICE int row_of(int k, const int *group) {
#pragma unroll
    for (int i = 0; i < HELD; i++) k = insert_zero(k, group[PIVOTS + i]);
    return k;
}

DEVICE void places_of(int row, const int *group, int *places) {
    places[0] = swizzle(row);
#pragma unroll
    for (int i = 0; i < HELD; i++) {
        const int moved = swizzle(group[BASIS + i]);
#pragma unroll
        for (int j = 0; j < 1 << i; j++) places[(1 << i) + j] = places[j] ^ moved;
    }
}

// Applies one group of steps to all amplitudes of the block.
DEVICE void through(const Block &b, const int *group, int first_of_window) {
    const int count = b.samples << (b.width - HELD);
    for (int k = threadIdx.x; k < count; k += blockDim.x) {
        const int row = row_of(k, group);
        int places[SIZE];
        Amplitude x[SIZE];
        places_of(row, group, places);
#pragma unroll
        for (int j = 0; j < SIZE; j++) x[j] = b.ket[places[j]];
        for (int at = group[FIRST] - first_of_window; at < group[LAST] - first_of_window; at++) {
            const Step step = b.steps[at];
            const Turned own = turned(b, step, at, row);
            if (is_plain(step)) {
                ON_AXIS(step.axis, apply_plain, own, x)
            } else {
                ON_AXIS(step.axis, apply_on, own, x)
            }
        }
#pragma unroll
        for (int j = 0; j < SIZE; j++) b.ket[places[j]] = x[j];
    }
}

// Adds up what the threads of a sample have found, in a fixed order; the first of each `span` threads keeps it.
DEVICE void collect(const Block &b, real value, real *cells) {
    for (int other = b.span / 2; other; other /= 2) value += __shfl_xor_sync(0xffffffffu, value, other);
    const int cell = threadIdx.x / b.span;
    if (threadIdx.x % b.span == 0 && cell < b.cells) cells[cell] += value;
}

// The same for three numbers at once, with six exchanges in place of fifteen: after two of them each thread adds
// up one of the three, by its number mod 4: x, z, y, y.
DEVICE void collect_three(const Block &b, const real *values, real *cells) {
    if (b.span < 4) {
        for (int axis = 0; axis < 3; axis++) collect(b, values[axis], cells + axis * b.cells);
        return;
    }
    const bool is_odd = threadIdx.x & 1, is_high = threadIdx.x & 2;
    real x_or_z = is_odd ? values[2] : values[0];
    x_or_z += __shfl_xor_sync(0xffffffffu, is_odd ? values[0] : values[2], 1);
    const real y = values[1] + __shfl_xor_sync(0xffffffffu, values[1], 1);
    real value = is_high ? y : x_or_z;
    value += __shfl_xor_sync(0xffffffffu, is_high ? x_or_z : y, 2);
    for (int other = 4; other < b.span; other *= 2) value += __shfl_xor_sync(0xffffffffu, value, other);
    const int cell = threadIdx.x / b.span, within = threadIdx.x % b.span;
    if (within < 3 && cell < b.cells) cells[(within == 0 ? 0 : 3 - within) * b.cells + cell] += value;
}

DEVICE double total(const Block &b, int within, const real *cells) {
    const int each = b.cells / b.samples;
    double sum = 0;
    for (int i = 0; i < each; i++) sum += (double)cells[within * each + i];
    return sum;
}

// Takes ket and bra back through one group of steps, and adds the slopes of those steps.
DEVICE void back_through(const Block &b, const int *group, int first_of_window) {
    const int count = b.samples << (b.width - HELD);
    // All threads of a warp take part in every sum, those without amplitudes, too.
    for (int start = 0; start < count; start += blockDim.x) {
        const bool is_on = start + threadIdx.x < count;
        const int row = row_of(is_on ? start + threadIdx.x : 0, group);
        int places[SIZE];
        Amplitude ket[SIZE], bra[SIZE];
        places_of(row, group, places);
#pragma unroll
        for (int j = 0; j < SIZE; j++) {
            ket[j] = is_on ? b.ket[places[j]] : amplitude(0, 0);
            bra[j] = is_on ? b.bra[places[j]] : amplitude(0, 0);
        }
        for (int at = group[LAST] - first_of_window - 1; at >= group[FIRST] - first_of_window; at--) {
            const Step step = b.steps[at];
            const Turned own = turned(b, step, at, row);
            real slopes[3] = {0, 0, 0};
            if (step.flags & PRODUCT) {
                ON_AXIS(step.axis, add_slopes_on, own, ket, bra, slopes)
            } else if (is_plain(step)) {
                ON_AXIS(step.axis, undo_plain, own, ket, bra, slopes)
            } else {
                ON_AXIS(step.axis, undo_on, own, ket, bra, slopes)
            }
            if (!(step.flags & WANTS_GRADIENT)) continue;
            for (int axis = 0; axis < 3; axis++)
                if (!is_on) slopes[axis] = 0;
            if (PLANES == 2)
                collect_three(b, slopes, b.slots + 3 * at * b.cells);
            else
                collect(b, slopes[1], b.slots + (3 * at + 1) * b.cells);
        }
        if (is_on)
#pragma unroll
            for (int j = 0; j < SIZE; j++) b.ket[places[j]] = ket[j], b.bra[places[j]] = bra[j];
    }
}
