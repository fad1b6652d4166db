// Adam over all parameters at once.  The table `addresses` (4, tensors) holds where each tensor's
// theta, gradient, m and v begin; `chunks` (blocks, 2) says which tensor a block works on, and from
// which element; `sizes` (tensors) how many it has.

#define CHUNK 4096

KERNEL adam(
    const unsigned long long *addresses, const long long *sizes, const long long *chunks,
    int tensors, REAL rate, REAL beta1, REAL beta2, REAL eps
) {
    int tensor = (int)chunks[2 * blockIdx.x];
    long long first = chunks[2 * blockIdx.x + 1];
    long long last = first + CHUNK < sizes[tensor] ? first + CHUNK : sizes[tensor];
    REAL *theta = (REAL *)addresses[tensor];
    const REAL *gradient = (const REAL *)addresses[tensors + tensor];
    REAL *m = (REAL *)addresses[2 * tensors + tensor];
    REAL *v = (REAL *)addresses[3 * tensors + tensor];
    for (long long i = first + threadIdx.x; i < last; i += THREADS) {
        REAL g = gradient[i];
        REAL mean = beta1 * m[i] + (1 - beta1) * g;
        REAL square = beta2 * v[i] + (1 - beta2) * g * g;
        m[i] = mean;
        v[i] = square;
        theta[i] -= rate * (mean / (sqrt(square) + eps));
    }
}
