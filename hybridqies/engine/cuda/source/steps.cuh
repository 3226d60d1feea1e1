// Angles to matrices, and slopes back to angles: see coefficients.py for the method. All in double.
#pragma once
#include "amplitudes.cuh"

#define FIXED 3

// Cos and sin of half of an angle.
DEVICE void half_angle(const Tables &t, const Call &c, int angle, long long sample, double &cosine, double &sine) {
    double value = t.angle_scale[angle];
    for (int s = t.angle_first[angle]; s < t.angle_first[angle + 1]; s++) {
        const int source = t.angle_source[s];
        if (source < t.n_features)
            value *= (double)c.features[sample * t.n_features + source];
        else
            value *= (double)c.weights[(t.batched_weights ? sample * t.n_weights : 0) + source - t.n_features];
    }
    sincos(value / 2, &sine, &cosine);
}

// One column (re, im of both entries) times a rotation about an axis.
DEVICE void rotate(int axis, double cosine, double sine, double *v) {
    const double a = v[0], b = v[1], c = v[2], d = v[3];
    if (axis == 0) {
        v[0] = cosine * a + sine * d, v[1] = cosine * b - sine * c;
        v[2] = cosine * c + sine * b, v[3] = cosine * d - sine * a;
    } else if (axis == 1) {
        v[0] = cosine * a - sine * c, v[1] = cosine * b - sine * d;
        v[2] = cosine * c + sine * a, v[3] = cosine * d + sine * b;
    } else {
        v[0] = cosine * a + sine * b, v[1] = cosine * b - sine * a;
        v[2] = cosine * c - sine * d, v[3] = cosine * d + sine * c;
    }
}

// One column times a fixed matrix: eight numbers, rows first.
DEVICE void multiply(const double *m, double *v) {
    const double a = v[0], b = v[1], c = v[2], d = v[3];
    v[0] = m[0] * a - m[1] * b + m[2] * c - m[3] * d, v[1] = m[0] * b + m[1] * a + m[2] * d + m[3] * c;
    v[2] = m[4] * a - m[5] * b + m[6] * c - m[7] * d, v[3] = m[4] * b + m[5] * a + m[6] * d + m[7] * c;
}

DEVICE void fill_matrix(const Tables &t, const Call &c, int step, long long sample, Matrix &into) {
    double left[4] = {1, 0, 0, 0}, right[4] = {0, 0, 1, 0};
    for (int f = t.step_first[step]; f < t.step_first[step + 1]; f++) {
        const int index = t.factor_index[f];
        if (t.factor_kind[f] == FIXED) {
            multiply(t.fixed + 8 * index, left);
            multiply(t.fixed + 8 * index, right);
        } else {
            double cosine, sine;
            half_angle(t, c, index, sample, cosine, sine);
            sine *= t.factor_sign[f];
            rotate(t.factor_kind[f], cosine, sine, left);
            rotate(t.factor_kind[f], cosine, sine, right);
        }
    }
    into.a = amplitude((real)left[0], (real)left[1]), into.b = amplitude((real)right[0], (real)right[1]);
    into.c = amplitude((real)left[2], (real)left[3]), into.d = amplitude((real)right[2], (real)right[3]);
}

// Writes the gradient of every rotation of a step, from its slopes along X, Y and Z.
DEVICE void chain(const Tables &t, const Call &c, int step, long long sample, double *v) {
    for (int f = t.step_first[step + 1] - 1; f >= t.step_first[step]; f--) {
        const int kind = t.factor_kind[f], index = t.factor_index[f];
        if (kind == FIXED) {
            const double *r = t.fixed_turns + 9 * index, x = v[0], y = v[1], z = v[2];
            for (int j = 0; j < 3; j++) v[j] = r[j] * x + r[3 + j] * y + r[6 + j] * z;
            continue;
        }
        double half_cos, half_sin;
        half_angle(t, c, index, sample, half_cos, half_sin);
        half_sin *= t.factor_sign[f];
        const double cosine = half_cos * half_cos - half_sin * half_sin, sine = 2 * half_cos * half_sin;
        const int after = (kind + 1) % 3, before = (kind + 2) % 3;
        const double p = v[after], q = v[before];
        c.of_turns[t.factor_turn[f] * c.batch + sample] = t.factor_sign[f] * v[kind];
        v[after] = cosine * p + sine * q, v[before] = cosine * q - sine * p;
    }
}
