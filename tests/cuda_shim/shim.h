// Enough of CUDA to run a kernel on one CPU core.
//
// The threads of a block are coroutines: one runs until it ends or reaches __syncthreads, then the
// next.  Backwards they take turns in the other order: a kernel that forgets a barrier gives
// different results then.  A block in which some threads ended while others wait at a barrier is an
// error, as it would be (undefined) on a GPU.  Kernels without barriers are plain calls.

#include <cmath>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <ucontext.h>
#include <type_traits>
#include <utility>

using std::exp;
using std::fabs;
using std::log1p;
using std::sqrt;
using std::tanh;

#define __global__
#define __device__
#define __shared__ static  // blocks run one after another

struct Dim {
    int x, y, z;
};
static Dim threadIdx, blockIdx, blockDim, gridDim;

namespace shim {

enum Outcome { FINE, DIVERGED, UNEXPECTED_BARRIER };

constexpr int MOST_THREADS = 1024, STACK = 64 * 1024;
static jmp_buf scheduler, threads[MOST_THREADS];
static ucontext_t start, unused;
static char *stacks;
static bool done[MOST_THREADS];
static int current;
static bool coroutines, missed_barrier;
static void (*body)(void *);
static void *body_argument;

static void place(int t) {
    current = t;
    threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
}

static void thread_main() {
    body(body_argument);
    done[current] = true;
    _longjmp(scheduler, 1);
}

// A thread's first turn, on a stack of its own; the later ones are jumps, which cost nothing.
static void begin(int t) {
    getcontext(&start);
    start.uc_stack.ss_sp = stacks + (size_t)t * STACK;
    start.uc_stack.ss_size = STACK;
    start.uc_link = nullptr;
    makecontext(&start, thread_main, 0);
    if (!_setjmp(scheduler)) swapcontext(&unused, &start);
}

static Outcome run_block(bool backwards) {
    int count = blockDim.x * blockDim.y * blockDim.z;
    for (int t = 0; t < count; t++) done[t] = false;
    for (bool first = true;; first = false) {
        int ended = 0;
        for (int i = 0; i < count; i++) {
            int t = backwards ? count - 1 - i : i;
            place(t);
            if (!coroutines) {
                body(body_argument);
                done[t] = true;
            } else if (first) {
                begin(t);
            } else if (!_setjmp(scheduler)) {
                _longjmp(threads[t], 1);
            }
            ended += done[current];
        }
        if (missed_barrier) return UNEXPECTED_BARRIER;
        if (ended == count) return FINE;
        if (ended) return DIVERGED;
    }
}

template <typename... A, size_t... I>
int run(void (*kernel)(A...), std::index_sequence<I...>, Dim grid, Dim block, void **arguments,
        bool backwards, bool barriers) {
    auto call = [=] { kernel(*(typename std::remove_cv<A>::type *)arguments[I]...); };
    body = [](void *f) { (*(decltype(call) *)f)(); };
    body_argument = &call;
    if (!stacks) stacks = (char *)malloc((size_t)MOST_THREADS * STACK);
    coroutines = barriers;
    missed_barrier = false;
    blockDim = block;
    gridDim = grid;
    long long count = (long long)grid.x * grid.y * grid.z;
    for (long long i = 0; i < count; i++) {
        long long b = backwards ? count - 1 - i : i;
        blockIdx = {int(b % grid.x), int(b / grid.x % grid.y), int(b / grid.x / grid.y)};
        if (Outcome outcome = run_block(backwards)) return outcome;
    }
    return FINE;
}

}  // namespace shim

static void __syncthreads() {
    int me = shim::current;
    if (!shim::coroutines)
        shim::missed_barrier = true;
    else if (!_setjmp(shim::threads[me]))
        _longjmp(shim::scheduler, 1);
}

// One entry point for each kernel, written below the kernels by the test.
#define ENTRY(name, ...)                                                                      \
    extern "C" int shim_##name(const int *sizes, void **arguments, int order, int barriers) {  \
        return shim::run(name, std::make_index_sequence<__VA_ARGS__>(),                       \
                         {sizes[0], sizes[1], sizes[2]}, {sizes[3], sizes[4], sizes[5]},      \
                         arguments, order, barriers);                                         \
    }
