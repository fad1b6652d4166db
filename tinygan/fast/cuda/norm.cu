// Normalisation of x (G, M, C) over the M pixels of each group and channel.
//
// A reduction runs in two kernels.  In the first, blockIdx = (channels, parts of the pixels, group)
// and a block of blockDim.x channels x blockDim.y pixels, 256 threads in all, reduces its part to
// one value a channel; in the second, blocks of the same shape merge the parts.

// Merge (n_b, mean_b, m2_b) into (n_a, mean_a, m2_a); m2 is the sum of squared distances to the
// mean (Chan, Golub, LeVeque).
__device__ inline void merge_moments(
    REAL &n_a, REAL &mean_a, REAL &m2_a, REAL n_b, REAL mean_b, REAL m2_b
) {
    if (n_b == 0) return;
    REAL n = n_a + n_b, delta = mean_b - mean_a;
    mean_a += delta * (n_b / n);
    m2_a += m2_b + delta * delta * (n_a * n_b / n);
    n_a = n;
}

// Merge what the threads of one channel hold, in a fixed order; threadIdx.y = 0 gets the result.
__device__ inline void merge_over_block(REAL &count, REAL &mean, REAL &m2) {
    __shared__ REAL counts[THREADS], means[THREADS], m2s[THREADS];
    int me = threadIdx.y * blockDim.x + threadIdx.x;
    counts[me] = count;
    means[me] = mean;
    m2s[me] = m2;
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) {
            int other = me + half * blockDim.x;
            merge_moments(
                counts[me], means[me], m2s[me], counts[other], means[other], m2s[other]
            );
        }
    }
    count = counts[me];
    mean = means[me];
    m2 = m2s[me];
}

// mean and m2 (G, parts, C) of each part, by one pass over x (Welford).  With a single part, m2 is
// divided by M: these are mean and variance.
KERNEL moments_of_parts(
    const REAL *x, REAL *mean_out, REAL *m2_out, int pixels, int channels, int part
) {
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    int first = blockIdx.y * part;
    int last = first + part < pixels ? first + part : pixels;
    REAL count = 0, mean = 0, m2 = 0;
    if (c < channels) {
        const REAL *group = x + (long long)blockIdx.z * pixels * channels + c;
        for (int m = first + threadIdx.y; m < last; m += blockDim.y) {
            REAL value = group[(long long)m * channels];
            count += 1;
            REAL delta = value - mean;
            mean += delta / count;
            m2 += delta * (value - mean);
        }
    }
    merge_over_block(count, mean, m2);
    if (threadIdx.y == 0 && c < channels) {
        long long at = ((long long)blockIdx.z * gridDim.y + blockIdx.y) * channels + c;
        mean_out[at] = mean;
        m2_out[at] = gridDim.y == 1 ? m2 / pixels : m2;
    }
}

// mean and var (G, C) from those of the parts; blockIdx = (channels, 0, group).
KERNEL moments_of_all(
    const REAL *means, const REAL *m2s, REAL *mean_out, REAL *var_out, int channels, int pixels,
    int part, int parts
) {
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    REAL count = 0, mean = 0, m2 = 0;
    if (c < channels) {
        for (int p = threadIdx.y; p < parts; p += blockDim.y) {
            int first = p * part;
            int n = first + part < pixels ? part : pixels - first;
            long long from = ((long long)blockIdx.z * parts + p) * channels + c;
            merge_moments(count, mean, m2, REAL(n), means[from], m2s[from]);
        }
    }
    merge_over_block(count, mean, m2);
    if (threadIdx.y == 0 && c < channels) {
        mean_out[blockIdx.z * channels + c] = mean;
        var_out[blockIdx.z * channels + c] = m2 / count;
    }
}

// running <- (1 - momentum) * running + momentum * new, for the mean and the unbiased variance.
KERNEL move_running(
    const REAL *mean, const REAL *var, REAL *running_mean, REAL *running_var, REAL momentum,
    REAL unbias, int channels
) {
    int c = flat_index();
    if (c >= channels) return;
    running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c];
    running_var[c] = (1 - momentum) * running_var[c] + momentum * (unbias * var[c]);
}

// The leaky ReLU behind a normalisation and its gradient.  A slope of 0 makes it a ReLU, a slope
// of 1 nothing; then y may be null.
__device__ inline REAL activated(REAL u, REAL slope) {
    return u < 0 ? (slope == 0 ? REAL(0) : slope * u) : u;  // so written, NaN stays NaN
}

__device__ inline REAL behind_activation(const REAL *dy, const REAL *y, REAL slope, long long at) {
    return y && !(y[at] > 0) ? slope * dy[at] : dy[at];
}

// y = activated((x - mean) * scale + beta), with rstd = 1 / sqrt(var + eps) and
// scale = rstd * gamma, which the first pixel's threads also write down (G, C).  gamma and beta may
// be null.
KERNEL normalize(
    const REAL *x, const REAL *mean, const REAL *var, const REAL *gamma, const REAL *beta, REAL *y,
    REAL *rstd_out, REAL *scale_out, REAL eps, REAL slope, int pixels, int channels, int n
) {
    int at = flat_index();
    if (at >= n) return;
    int pixel = at / channels, c = at % channels;
    int g = pixel / pixels;
    int gc = g * channels + c;
    REAL rstd = 1 / sqrt(var[gc] + eps);
    REAL scale = gamma ? rstd * gamma[c] : rstd;
    y[at] = activated((x[at] - mean[gc]) * scale + (beta ? beta[c] : REAL(0)), slope);
    if (pixel % pixels == 0) {
        rstd_out[gc] = rstd;
        scale_out[gc] = scale;
    }
}

// Add what the threads of one channel hold, in a fixed order; threadIdx.y = 0 gets the sums.
__device__ inline void add_over_block(REAL &sum, REAL &product) {
    __shared__ REAL sums[THREADS], products[THREADS];
    int me = threadIdx.y * blockDim.x + threadIdx.x;
    sums[me] = sum;
    products[me] = product;
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) {
            sums[me] += sums[me + half * blockDim.x];
            products[me] += products[me + half * blockDim.x];
        }
    }
    sum = sums[me];
    product = products[me];
}

// sum of du and sum of du * (x - mean) of each part (G, parts, C).  Without x only the first.
KERNEL sums_of_parts(
    const REAL *dy, const REAL *y, const REAL *x, const REAL *mean, REAL *sum_out,
    REAL *product_out, REAL slope, int pixels, int channels, int part
) {
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    int first = blockIdx.y * part;
    int last = first + part < pixels ? first + part : pixels;
    REAL sum = 0, product = 0;
    if (c < channels) {
        long long group = (long long)blockIdx.z * pixels * channels + c;
        REAL mu = x ? mean[blockIdx.z * channels + c] : REAL(0);
        for (int m = first + threadIdx.y; m < last; m += blockDim.y) {
            long long at = group + (long long)m * channels;
            REAL du = behind_activation(dy, y, slope, at);
            sum += du;
            if (x) product += du * (x[at] - mu);
        }
    }
    add_over_block(sum, product);
    if (threadIdx.y == 0 && c < channels) {
        long long at = ((long long)blockIdx.z * gridDim.y + blockIdx.y) * channels + c;
        sum_out[at] = sum;
        if (x) product_out[at] = product;
    }
}

// sum of du and sum of du * xhat (G, C) from those of the parts; blockIdx = (channels, 0, group).
KERNEL sums_of_all(
    const REAL *sums, const REAL *products, const REAL *rstd, REAL *sum_out, REAL *product_out,
    int channels, int parts
) {
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    REAL sum = 0, product = 0;
    if (c < channels) {
        for (int p = threadIdx.y; p < parts; p += blockDim.y) {
            long long from = ((long long)blockIdx.z * parts + p) * channels + c;
            sum += sums[from];
            if (products) product += products[from];
        }
    }
    add_over_block(sum, product);
    if (threadIdx.y == 0 && c < channels) {
        int at = blockIdx.z * channels + c;
        sum_out[at] = sum;
        if (products) product_out[at] = product * rstd[at];
    }
}

// dx = scale * (du - mean(du) - xhat * mean(du * xhat))
KERNEL normalize_backward(
    const REAL *dy, const REAL *y, const REAL *x, const REAL *mean, const REAL *rstd,
    const REAL *scale, const REAL *sum_du, const REAL *sum_du_xhat, REAL *dx, REAL slope,
    int pixels, int channels, int n
) {
    int at = flat_index();
    if (at >= n) return;
    int pixel = at / channels, c = at % channels;
    int gc = pixel / pixels * channels + c;
    REAL share = REAL(1) / pixels;
    REAL du = behind_activation(dy, y, slope, at);
    REAL xhat = (x[at] - mean[gc]) * rstd[gc];
    dx[at] = scale[gc] * (du - sum_du[gc] * share - xhat * (sum_du_xhat[gc] * share));
}
