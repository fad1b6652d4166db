// Padding by reflection and its transpose.  blockIdx.x is a row of an image of the result; the
// threads of blockIdx.z share out what lies along the row.

__device__ inline int reflected(int i, int size) {
    return i < 0 ? -i : i >= size ? 2 * size - 2 - i : i;
}

KERNEL reflection_pad(
    const REAL *x, REAL *y, int height, int width, int channels, int pad_h, int pad_w
) {
    int rows = height + 2 * pad_h, columns = width + 2 * pad_w;
    int n = blockIdx.x / rows, h = reflected(blockIdx.x % rows - pad_h, height);
    int at = blockIdx.z * THREADS + threadIdx.x;
    if (at >= columns * channels) return;
    int w = reflected(at / channels - pad_w, width), c = at % channels;
    y[(long long)blockIdx.x * columns * channels + at] =
        x[((long long)(n * height + h) * width + w) * channels + c];
}

// The places along one padded axis that hold a copy of place i: itself, and up to two mirror images.
__device__ inline int copies_of(int i, int size, int pad, int *places) {
    int count = 0;
    places[count++] = i + pad;
    if (i >= 1 && i <= pad) places[count++] = pad - i;
    if (i <= size - 2 && size - 1 - i <= pad) places[count++] = pad + 2 * size - 2 - i;
    return count;
}

KERNEL reflection_pad_backward(
    const REAL *dy, REAL *dx, int height, int width, int channels, int pad_h, int pad_w
) {
    int rows = height + 2 * pad_h, columns = width + 2 * pad_w;
    int n = blockIdx.x / height;
    int at = blockIdx.z * THREADS + threadIdx.x;
    if (at >= width * channels) return;
    int c = at % channels;
    int hs[3], ws[3];
    int h_count = copies_of(blockIdx.x % height, height, pad_h, hs);
    int w_count = copies_of(at / channels, width, pad_w, ws);
    REAL total = 0;
    for (int j = 0; j < w_count; j++)
        for (int i = 0; i < h_count; i++)
            total += dy[((long long)(n * rows + hs[i]) * columns + ws[j]) * channels + c];
    dx[(long long)blockIdx.x * width * channels + at] = total;
}
