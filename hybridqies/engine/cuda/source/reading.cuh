// What is read from states: expectations, and the bra that the backward pass starts from.
#pragma once
#include "groups.cuh"

// States in shared memory, or of one sample in the card's memory.
struct Near {
    const Amplitude *tile;
    DEVICE Amplitude get(int row) const { return tile[swizzle(row)]; }
};

struct Far {
    const Amplitude *state;
    DEVICE Amplitude get(int row) const { return state[row]; }
};

// Columns of an observable.
enum { FLIP, READ, N_Y, SIGN, OBSERVABLE_ROW };

// The value of one observable's terms on the rows that a thread holds: SIZE rows from `row` on.
template <class Source>
DEVICE real read_rows(const int *observable, const Source &source, int row, const Amplitude *x) {
    real sum = 0;
#pragma unroll
    for (int j = 0; j < SIZE; j++) {
        const real own = observable[FLIP] == 0
                             ? square(x[j])
                             : overlap(source.get((row | j) ^ observable[FLIP]), x[j], observable[N_Y] & 1);
        sum += odd((row | j) & observable[READ]) ? -own : own;
    }
    return sum;
}

// Expectations from `count` * SIZE rows of the source, from row `first` * SIZE on: number m of the sample
// `within` of the block goes to `write(within, m, value)`.
template <class Source, class Write>
DEVICE void measure(const Tables &t, const Call &c, const Block &b, const Source &source, int first, int count,
                    const Write &write) {
    const int at_once = 3 * (int)c.window_rows, all = (int)t.n_observables;
    for (int start = 0; start < all; start += at_once) {
        const int here = all - start < at_once ? all - start : at_once;
        for (int i = threadIdx.x; i < here * b.cells; i += blockDim.x) b.slots[i] = 0;
        __syncthreads();
        const int lanes = b.cells * b.span;
        for (int k = 0; k < count; k += lanes) {
            const bool is_on = threadIdx.x < lanes && k + threadIdx.x < count;
            const int row = (first + k + (is_on ? (int)threadIdx.x : 0)) << HELD;
            Amplitude x[SIZE];
#pragma unroll
            for (int j = 0; j < SIZE; j++) x[j] = source.get(row | j);
            for (int m = 0; m < here; m++) {
                const int *observable = t.observables + (start + m) * OBSERVABLE_ROW;
                const real sum = read_rows(observable, source, row, x);
                collect(b, is_on ? sum : 0, b.slots + m * b.cells);
            }
        }
        __syncthreads();
        for (int i = threadIdx.x; i < here * b.samples; i += blockDim.x) {
            const int m = i % here, within = i / here;
            const int *observable = t.observables + (start + m) * OBSERVABLE_ROW;
            write(within, start + m,
                  observable[SIGN] * (1 - (observable[N_Y] & 2)) * total(b, within, b.slots + m * b.cells));
        }
        __syncthreads();
    }
}

// One row of sum_m weight_m P_m |ket>, with the weights of one sample.
template <class Source>
DEVICE Amplitude bra_at(const Tables &t, const real *weights, const Source &source, int row) {
    real own = 0;
    Amplitude sum = amplitude(0, 0);
    for (int m = 0; m < t.n_observables; m++) {
        const int *observable = t.observables + m * OBSERVABLE_ROW;
        const int from = row ^ observable[FLIP];
        const int sign = observable[SIGN] * (1 - (observable[N_Y] & 2));
        const real weight = (odd(from & observable[READ]) ? -sign : sign) * weights[m];
        if (observable[FLIP] == 0)
            own += weight;
        else
            sum = plus_scaled(turn_by_i(source.get(from), observable[N_Y] & 1), weight, sum);
    }
    return plus_scaled(source.get(row), own, sum);
}
