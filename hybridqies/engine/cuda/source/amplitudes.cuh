// Amplitudes, their 2x2 matrices, and what the kernels are called with.
//
// One compilation is one variant: REAL is float or double, PLANES is 1 (real states) or 2, and a thread
// holds 2**HELD amplitudes of each state in registers.
#pragma once

#define SIZE (1 << HELD)
#define DEVICE __device__ __forceinline__

typedef REAL real;

// A row of `steps`; see `_row` in schedule.py. Aligned, so that it is three accesses to memory.
struct __align__(16) Step {
    int number, axis, cross, mask;
    int outer, control_cross, control, control_outer;
    int control_value, flags, unused[2];
};

// A plan's tables on the card; rows and columns are named in schedule.py.
struct Tables {
    const Step *steps;
    const int *groups, *windows, *basis, *pivots, *observables;
    const int *step_first, *factor_kind, *factor_index, *factor_turn, *angle_first, *angle_source;
    const int *use_first, *uses, *product;
    const double *angle_scale, *factor_sign, *fixed, *fixed_turns;
    long long n_qubits, width, n_features, n_weights, batched_weights, n_observables, n_product_rows;
};

// One call: its arrays, or null where it has none, and how it is cut into thread blocks.
struct Call {
    const real *features, *weights, *amplitudes, *of_values;
    real *states, *bras, *values, *of_features, *of_weights, *matrices, *slopes;
    double *of_turns, *partial_values;
    long long batch, given_planes, log_samples, window_rows, cells, pieces;
    // Of the block in work (see Layout in plan.py): windows first_window..last_window.
    long long block, first_window, last_window, starts, keeps_ket, keeps_bra;
    // Rows whose matrices or slopes are in memory, for states larger than a block.
    long long first_row, last_row;
};

// Columns of a group's row.
enum { FIRST, LAST, BASIS, PIVOTS = BASIS + HELD, GROUP_ROW = PIVOTS + HELD };
enum { WANTS_GRADIENT = 1, BATCHED = 2, CONTROLLED = 4, PRODUCT = 8 };

// Aligned, so that an amplitude is one access to memory, and a matrix a few.
struct __align__(PLANES * sizeof(REAL)) Amplitude {
    real re;
#if PLANES == 2
    real im;
#endif
};

struct __align__(16) Matrix {
    Amplitude a, b, c, d;
};

DEVICE int odd(int bits) { return __popc(bits) & 1; }

DEVICE Amplitude amplitude(real re, real im) {
    Amplitude result;
    result.re = re;
#if PLANES == 2
    result.im = im;
#endif
    return result;
}

// i * x where `turned`, else x; real states are never turned.
DEVICE Amplitude turn_by_i(Amplitude x, bool turned) {
#if PLANES == 2
    return turned ? amplitude(-x.im, x.re) : x;
#else
    return x;
#endif
}

DEVICE Amplitude conjugate(Amplitude x) {
#if PLANES == 2
    x.im = -x.im;
#endif
    return x;
}

DEVICE Amplitude times(Amplitude x, Amplitude y) {
#if PLANES == 2
    return amplitude(x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re);
#else
    return amplitude(x.re * y.re, 0);
#endif
}

DEVICE Amplitude plus_times(Amplitude x, Amplitude y, Amplitude z) {
#if PLANES == 2
    return amplitude(z.re + x.re * y.re - x.im * y.im, z.im + x.re * y.im + x.im * y.re);
#else
    return amplitude(z.re + x.re * y.re, 0);
#endif
}

DEVICE Amplitude plus_scaled(Amplitude x, real factor, Amplitude y) {
#if PLANES == 2
    return amplitude(y.re + factor * x.re, y.im + factor * x.im);
#else
    return amplitude(y.re + factor * x.re, 0);
#endif
}

DEVICE real square(Amplitude x) {
#if PLANES == 2
    return x.re * x.re + x.im * x.im;
#else
    return x.re * x.re;
#endif
}

// The real part of conj(x) y, or of i conj(x) y.
DEVICE real overlap(Amplitude x, Amplitude y, bool turned) {
#if PLANES == 2
    return turned ? x.im * y.re - x.re * y.im : x.re * y.re + x.im * y.im;
#else
    return x.re * y.re;
#endif
}

DEVICE void mix(const Matrix &m, Amplitude &x, Amplitude &y) {
    const Amplitude first = plus_times(m.b, y, times(m.a, x));
    y = plus_times(m.d, y, times(m.c, x));
    x = first;
}

DEVICE Matrix adjoint(const Matrix &m) {
    const Matrix result = {conjugate(m.a), conjugate(m.c), conjugate(m.b), conjugate(m.d)};
    return result;
}

// The matrix for pairs whose second amplitude stands first.
DEVICE Matrix reversed(const Matrix &m, bool is_reversed) {
    const Matrix result = {is_reversed ? m.d : m.a, is_reversed ? m.c : m.b, is_reversed ? m.b : m.c,
                           is_reversed ? m.a : m.d};
    return result;
}

// Adds Im <bra| P |ket> of one pair for P = X, Y, Z; real states have Y alone.
DEVICE void add_slopes(Amplitude b0, Amplitude b1, Amplitude k0, Amplitude k1, real sign, real *slopes) {
#if PLANES == 2
    slopes[0] += b0.re * k1.im - b0.im * k1.re + b1.re * k0.im - b1.im * k0.re;
    slopes[1] += sign * (b1.re * k0.re + b1.im * k0.im - b0.re * k1.re - b0.im * k1.im);
    slopes[2] += sign * (b0.re * k0.im - b0.im * k0.re - b1.re * k1.im + b1.im * k1.re);
#else
    slopes[1] += sign * (b1.re * k0.re - b0.re * k1.re);
#endif
}

// Amplitudes per row of 32 banks, as a power of two.
#define LINE (sizeof(Amplitude) == 4 ? 5 : sizeof(Amplitude) == 8 ? 4 : 3)

// Where an amplitude lies in shared memory: moved within its line, so that threads whose rows differ in
// high bits alone still read different banks. Linear over GF(2).
DEVICE int swizzle(int row) {
    return row ^ ((row >> LINE) & ((1 << LINE) - 1)) ^ ((row >> 2 * LINE) & ((1 << LINE) - 1));
}

DEVICE int insert_zero(int k, int pivot) { return ((k >> pivot) << (pivot + 1)) | (k & ((1 << pivot) - 1)); }
