// Losses: the gradient of every element and the sum of all terms, in one pass.  Each block leaves
// the sum over its elements; sum_of_blocks adds them in order.

// The sum over a block, in every thread of it; in a fixed order.
__device__ inline REAL sum_over_block(REAL value) {
    __shared__ REAL values[THREADS];
    values[threadIdx.x] = value;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) values[threadIdx.x] += values[threadIdx.x + half];
    }
    __syncthreads();
    return values[0];
}

// targets may be null: the target is then the number `target` for every element.
#define LOSS(name, statements)                                                                \
    KERNEL name(                                                                              \
        const REAL *prediction, const REAL *targets, REAL *gradient, REAL *sums, REAL target, \
        REAL scale, int n                                                                     \
    ) {                                                                                       \
        REAL sum = 0;                                                                         \
        for (int i = flat_index(); i < n; i += gridDim.x * THREADS) {                         \
            REAL p = prediction[i], t = targets ? targets[i] : target, term, slope;           \
            statements;                                                                       \
            gradient[i] = slope * scale;                                                      \
            sum += term;                                                                      \
        }                                                                                     \
        sum = sum_over_block(sum);                                                            \
        if (threadIdx.x == 0) sums[blockIdx.x] = sum;                                         \
    }

LOSS(bce_with_logits, {
    term = (p > 0 ? p : REAL(0)) - p * t + log1p(exp(-fabs(p)));
    slope = REAL(0.5) * (tanh(REAL(0.5) * p) + 1) - t;
})

LOSS(mse, {
    term = (p - t) * (p - t);
    slope = 2 * (p - t);
})

LOSS(l1, {
    term = fabs(p - t);
    slope = REAL((p > t) - (p < t));
})

KERNEL sum_of_blocks(const REAL *sums, REAL *loss, REAL scale, int blocks) {
    REAL sum = 0;
    for (int i = threadIdx.x; i < blocks; i += THREADS) sum += sums[i];
    sum = sum_over_block(sum);
    if (threadIdx.x == 0) loss[0] = sum * scale;
}
