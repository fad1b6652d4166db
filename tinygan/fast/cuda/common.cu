// What all kernels share.  REAL is float or double, given when the module is compiled.
//
// Written so that a C++ compiler with a thin header for threadIdx, blockIdx, __shared__ and
// __syncthreads can run every kernel on a CPU.  Sums are always taken in a fixed order that
// depends on the sizes alone: no atomics, the same bits every time.

#ifndef REAL
#define REAL float
#endif

#define KERNEL extern "C" __global__ void
#define THREADS 256  // of a block, in every kernel

// Four neighbouring channels, moved by one instruction.
struct alignas(4 * sizeof(REAL)) Four {
    REAL v[4];
};

__device__ inline void clear(REAL &a) { a = 0; }

__device__ inline void clear(Four &a) {
    for (int i = 0; i < 4; i++) a.v[i] = 0;
}

__device__ inline void add(REAL &a, REAL b) { a += b; }

__device__ inline void add(Four &a, const Four &b) {
    for (int i = 0; i < 4; i++) a.v[i] += b.v[i];
}

__device__ inline int flat_index() { return blockIdx.x * THREADS + threadIdx.x; }
