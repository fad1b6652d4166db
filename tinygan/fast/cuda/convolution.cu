// The matrix of patches of a convolution, and its transpose: the sum of the copies of each pixel.
//
// blockIdx.x is a row of an image, so that the divisions by the image's height are the block's;
// the threads of blockIdx.z share out what lies along the row.  Channels come one or four at a time.

// patches[n, i, j, k, l, c] = x[n, si*i + k - ph, sj*j + l - pw, c], zero outside the image.
// blockIdx.y is k.
template <typename T>
__device__ void gather_patches(
    const T *x, T *patches, int height, int width, int channels, int kernel_h, int kernel_w,
    int stride_h, int stride_w, int pad_h, int pad_w, int rows, int columns
) {
    int n = blockIdx.x / rows, i = blockIdx.x % rows, k = blockIdx.y;
    int at = blockIdx.z * THREADS + threadIdx.x;
    int window_row = kernel_w * channels;
    if (at >= columns * window_row) return;
    int j = at / window_row, lc = at % window_row;
    int l = lc / channels, c = lc % channels;
    int h = i * stride_h + k - pad_h, w = j * stride_w + l - pad_w;
    T value;
    if (h >= 0 && h < height && w >= 0 && w < width)
        value = x[((long long)(n * height + h) * width + w) * channels + c];
    else
        clear(value);
    patches[(((long long)blockIdx.x * columns + j) * kernel_h + k) * window_row + lc] = value;
}

// x[n, h, w, c] = sum of copies[n, i, j, k, l, c] over si*i + k - ph = h and sj*j + l - pw = w,
// a gather over x, so that no two threads add to one element.
template <typename T>
__device__ void sum_patches(
    const T *copies, T *x, int height, int width, int channels, int kernel_h, int kernel_w,
    int stride_h, int stride_w, int pad_h, int pad_w, int rows, int columns
) {
    int n = blockIdx.x / height, h = blockIdx.x % height + pad_h;
    int at = blockIdx.z * THREADS + threadIdx.x;
    if (at >= width * channels) return;
    int w = at / channels + pad_w, c = at % channels;
    T total;
    clear(total);
    for (int k = h % stride_h; k < kernel_h && k <= h; k += stride_h) {
        int i = (h - k) / stride_h;
        if (i >= rows) continue;
        for (int l = w % stride_w; l < kernel_w && l <= w; l += stride_w) {
            int j = (w - l) / stride_w;
            if (j >= columns) continue;
            long long window = (long long)(n * rows + i) * columns + j;
            add(total, copies[((window * kernel_h + k) * kernel_w + l) * channels + c]);
        }
    }
    x[(long long)blockIdx.x * width * channels + at] = total;
}

#define WINDOW                                                                                \
    int height, int width, int channels, int kernel_h, int kernel_w, int stride_h, int stride_w, \
        int pad_h, int pad_w, int rows, int columns
#define WINDOW_ARGUMENTS                                                                        \
    height, width, channels, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, rows, columns

KERNEL patches_by_1(const REAL *x, REAL *patches, WINDOW) {
    gather_patches<REAL>(x, patches, WINDOW_ARGUMENTS);
}

KERNEL patches_by_4(const Four *x, Four *patches, WINDOW) {
    gather_patches<Four>(x, patches, WINDOW_ARGUMENTS);
}

KERNEL sum_patches_by_1(const REAL *copies, REAL *x, WINDOW) {
    sum_patches<REAL>(copies, x, WINDOW_ARGUMENTS);
}

KERNEL sum_patches_by_4(const Four *copies, Four *x, WINDOW) {
    sum_patches<Four>(copies, x, WINDOW_ARGUMENTS);
}
