// The kernels. A grid has a thread block for each group of samples (x) and each piece of their states (y).
#include "reading.cuh"

#define KERNEL extern "C" __global__ void __launch_bounds__(MAX_THREADS)

// Where coset number k of a block starts, and where its amplitude j lies from there.
DEVICE long long start_of(const Tables &t, const Call &c, long long k) {
    for (int i = 0; i < t.width; i++) {
        const int pivot = t.pivots[c.block * t.width + i];
        k = ((k >> pivot) << (pivot + 1)) | (k & ((1LL << pivot) - 1));
    }
    return k;
}

// Only bits from `first` on of j count.
DEVICE int offset_of(const Tables &t, const Call &c, int j, int first) {
    int result = 0;
    for (int i = first; i < t.width; i++)
        if (j >> i & 1) result ^= t.basis[c.block * t.width + i];
    return result;
}

// Brings the matrices of the product state's steps into shared memory.
DEVICE void stage_product(const Tables &t, const Call &c, const Block &b) {
    const int count = (int)t.n_product_rows;
    for (int i = threadIdx.x; i < count * b.samples; i += blockDim.x) {
        const int at = i % count, within = i / count;
        fill_matrix(t, c, t.steps[at].number, sample_at(c, b, within), b.matrices[i]);
    }
    __syncthreads();
}

// The amplitude of a state's start: given numbers, or a product of one number for each bit.
DEVICE Amplitude first_amplitude(const Tables &t, const Call &c, const Block &b, int within, int row) {
    if (!c.amplitudes) {
        Amplitude result = amplitude(1, 0);
        for (int bit = 0; bit < t.n_qubits; bit++) {
            const int at = t.product[bit];
            const bool is_one = row >> bit & 1;
            if (at < 0) {
                if (is_one) return amplitude(0, 0);
                continue;
            }
            const Matrix &m = b.matrices[within * t.n_product_rows + at];
            result = times(result, is_one ? m.c : m.a);
        }
        return result;
    }
    const long long sample = sample_at(c, b, within);
    const real *from = c.amplitudes + ((sample << t.n_qubits) + row) * c.given_planes;
    return amplitude(from[0], c.given_planes == 2 ? from[1] : 0);
}

// Calls `each(i, within, row)` for amplitude i of the block, which is amplitude `row` of its sample number `within`.
// The threads of a block are a power of two: all of a thread's amplitudes have the same low bits.
template <class Each> DEVICE void for_rows(const Tables &t, const Call &c, const Block &b, const Each &each) {
    const int size = 1 << b.width, low = b.base ^ offset_of(t, c, threadIdx.x & (size - 1), 0);
    const int bits = 31 - __clz(blockDim.x);
    for (int i = threadIdx.x; i < size * b.samples; i += blockDim.x)
        each(i, i >> b.width, low ^ offset_of(t, c, i & (size - 1), bits));
}

struct Fetch {
    const Tables &t;
    const Call &c;
    const Block &b;
    const Amplitude *far;
    Amplitude *near;
    DEVICE void operator()(int i, int within, int row) const {
        near[swizzle(i)] = far ? far[(sample_at(c, b, within) << t.n_qubits) + row]
                               : first_amplitude(t, c, b, within, row);
    }
};

struct PutBack {
    const Tables &t;
    const Call &c;
    const Block &b;
    const Amplitude *near;
    Amplitude *far;
    DEVICE void operator()(int i, int within, int row) const {
        const long long sample = b.first_sample + within;
        if (sample < c.batch) far[(sample << t.n_qubits) + row] = near[swizzle(i)];
    }
};

// Copies the block's coset between shared memory and the states at `far`; null reads the start.
DEVICE void fetch(const Tables &t, const Call &c, const Block &b, const Amplitude *far, Amplitude *near) {
    const Fetch each = {t, c, b, far, near};
    for_rows(t, c, b, each);
}

DEVICE void put_back(const Tables &t, const Call &c, const Block &b, const Amplitude *near, Amplitude *far) {
    const PutBack each = {t, c, b, near, far};
    for_rows(t, c, b, each);
}

struct WriteValues {
    const Tables &t;
    const Call &c;
    const Block &b;
    DEVICE void operator()(int within, int m, double value) const {
        const long long sample = b.first_sample + within;
        if (sample < c.batch) c.values[sample * t.n_observables + m] = (real)value;
    }
};

// One block of the plan. Where it holds whole states it starts, keeps and measures them, too.
KERNEL forward(const Tables t, const Call c) {
    Block b = block_of(t, c, false);
    const long long cosets = (1LL << (t.n_qubits - t.width)) / c.pieces;
    for (long long k = 0; k < cosets; k++) {
        b.base = (int)start_of(t, c, blockIdx.y * cosets + k);
        if (c.starts) stage_product(t, c, b);
        fetch(t, c, b, c.starts ? (const Amplitude *)0 : (const Amplitude *)c.states, b.ket);
        if (c.starts) __syncthreads();
        for (int window = (int)c.first_window; window < c.last_window; window++) {
            // A single window stays in place for all cosets.
            if (k == 0 || c.starts || c.last_window - c.first_window > 1) stage(t, c, b, window);
            __syncthreads();
            for (int g = t.windows[window]; g < t.windows[window + 1]; g++) {
                through(b, t.groups + g * GROUP_ROW, first_row_of(t, window));
                __syncthreads();
            }
        }
        __syncthreads();
        if (c.states) put_back(t, c, b, b.ket, (Amplitude *)c.states);
        __syncthreads();
    }
    const Near near = {b.ket};
    const WriteValues write = {t, c, b};
    if (c.values) measure(t, c, b, near, 0, b.samples << (b.width - HELD), write);
}

// Chains the slopes of a window on to its angles, or keeps them for `chain_slopes`.
DEVICE void finish(const Tables &t, const Call &c, const Block &b, int window, bool is_first) {
    const int first = first_row_of(t, window), count = last_row_of(t, window) - first;
    for (int i = threadIdx.x; i < count * b.samples; i += blockDim.x) {
        const int at = i % count, within = i / count;
        const Step &step = t.steps[first + at];
        if (!(step.flags & WANTS_GRADIENT) || b.first_sample + within >= c.batch) continue;
        double slopes[3];
        for (int axis = 0; axis < 3; axis++)
            slopes[axis] = total(b, within, b.slots + (3 * at + axis) * b.cells);
        if (!c.slopes) {
            chain(t, c, step.number, b.first_sample + within, slopes);
            continue;
        }
        for (int axis = 0; axis < 3; axis++) {
            real *to = c.slopes + ((3 * (first + at - c.first_row) + axis) * c.pieces + blockIdx.y) * c.batch;
            to += b.first_sample;
            *to = (real)slopes[axis] + (is_first ? 0 : *to);
        }
    }
}

// One block of the plan backwards. Where it holds whole states it starts their bras, too.
KERNEL backward(const Tables t, const Call c) {
    Block b = block_of(t, c, true);
    const long long cosets = (1LL << (t.n_qubits - t.width)) / c.pieces;
    for (long long k = 0; k < cosets; k++) {
        b.base = (int)start_of(t, c, blockIdx.y * cosets + k);
        fetch(t, c, b, (const Amplitude *)c.states, b.ket);
        if (!c.of_values) fetch(t, c, b, (const Amplitude *)c.bras, b.bra);
        __syncthreads();
        const Near near = {b.ket};
        for (int i = threadIdx.x; c.of_values && i < b.samples << b.width; i += blockDim.x) {
            const real *weights = c.of_values + sample_at(c, b, i >> b.width) * t.n_observables;
            b.bra[swizzle(i)] = bra_at(t, weights, near, i);
        }
        for (int window = (int)c.last_window - 1; window >= c.first_window; window--) {
            stage(t, c, b, window);
            __syncthreads();
            for (int g = t.windows[window + 1] - 1; g >= t.windows[window]; g--) {
                back_through(b, t.groups + g * GROUP_ROW, first_row_of(t, window));
                __syncthreads();
            }
            finish(t, c, b, window, k == 0);
            __syncthreads();
        }
        __syncthreads();
        if (c.keeps_ket) put_back(t, c, b, b.ket, (Amplitude *)c.states);
        if (c.keeps_bra) put_back(t, c, b, b.bra, (Amplitude *)c.bras);
        __syncthreads();
    }
}

// For states larger than a block: the matrices of rows first_row..last_row.
KERNEL fill_matrices(const Tables t, const Call c) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const long long row = c.first_row + i / c.batch, sample = i % c.batch;
    if (row >= c.last_row) return;
    const Step &step = t.steps[row];
    if (sample == 0 || step.flags & BATCHED) fill_matrix(t, c, step.number, sample, ((Matrix *)c.matrices)[i]);
}

// For states larger than a block: sums the slopes of rows first_row..last_row over pieces, and chains them.
KERNEL chain_slopes(const Tables t, const Call c) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const long long row = c.first_row + i / c.batch, sample = i % c.batch;
    if (row >= c.last_row) return;
    const Step &step = t.steps[row];
    if (!(step.flags & WANTS_GRADIENT)) return;
    double slopes[3] = {0, 0, 0};
    for (int axis = 0; axis < 3; axis++)
        for (long long piece = 0; piece < c.pieces; piece++)
            slopes[axis] += c.slopes[((3 * (row - c.first_row) + axis) * c.pieces + piece) * c.batch + sample];
    chain(t, c, step.number, sample, slopes);
}

struct WritePart {
    const Tables &t;
    const Call &c;
    DEVICE void operator()(int within, int m, double value) const {
        c.partial_values[(blockIdx.y * c.batch + blockIdx.x) * t.n_observables + m] = value;
    }
};

// For states larger than a block: what one piece of a state adds to each expectation.
KERNEL measure_pieces(const Tables t, const Call c) {
    const Block b = block_of(t, c, false);
    const Far far = {(const Amplitude *)c.states + ((long long)blockIdx.x << t.n_qubits)};
    const int count = (int)((1LL << (t.n_qubits - HELD)) / c.pieces);
    const WritePart write = {t, c};
    measure(t, c, b, far, blockIdx.y * count, count, write);
}

// For states larger than a block: the bras that the backward pass starts from.
KERNEL start_bras(const Tables t, const Call c) {
    const Far far = {(const Amplitude *)c.states + ((long long)blockIdx.x << t.n_qubits)};
    Amplitude *bra = (Amplitude *)c.bras + ((long long)blockIdx.x << t.n_qubits);
    const int count = (int)((1LL << t.n_qubits) / c.pieces);
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        const int row = blockIdx.y * count + i;
        bra[row] = bra_at(t, c.of_values + blockIdx.x * t.n_observables, far, row);
    }
}

// The gradient of one input of one sample, from those of the rotations that use it.
DEVICE double gather(const Tables &t, const Call &c, int input, long long sample) {
    double sum = 0;
    for (int u = t.use_first[input]; u < t.use_first[input + 1]; u++) {
        const int turn = t.uses[3 * u], angle = t.uses[3 * u + 1], place = t.uses[3 * u + 2];
        double product = c.of_turns[turn * c.batch + sample] * t.angle_scale[angle];
        for (int s = t.angle_first[angle]; s < t.angle_first[angle + 1]; s++)
            if (s != place) product *= (double)c.features[sample * t.n_features + t.angle_source[s]];
        sum += product;
    }
    return sum;
}

// A thread block for each input: features, then weights. Shared weights are summed over the batch.
KERNEL gather_inputs(const Tables t, const Call c) {
    const int input = blockIdx.x;
    const bool is_feature = input < t.n_features;
    real *into = is_feature ? c.of_features + input : c.of_weights + (input - t.n_features);
    if (is_feature || t.batched_weights) {
        const long long stride = is_feature ? t.n_features : t.n_weights;
        for (long long b = threadIdx.x; b < c.batch; b += blockDim.x) into[b * stride] = (real)gather(t, c, input, b);
        return;
    }
    double *sums = (double *)room, sum = 0;
    for (long long b = threadIdx.x; b < c.batch; b += blockDim.x) sum += gather(t, c, input, b);
    sums[threadIdx.x] = sum;
    __syncthreads();
    for (int half = blockDim.x / 2; half; half /= 2) {
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) *into = (real)sums[0];
}
