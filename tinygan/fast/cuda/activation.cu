// Activations and their gradients, one thread an element.

KERNEL relu(const REAL *x, REAL *y, int n) {
    int i = flat_index();
    if (i < n) y[i] = x[i] < 0 ? REAL(0) : x[i];  // so written, NaN stays NaN
}

KERNEL relu_backward(const REAL *dy, const REAL *y, REAL *dx, int n) {
    int i = flat_index();
    if (i < n) dx[i] = y[i] > 0 ? dy[i] : REAL(0);
}

KERNEL leaky_relu(const REAL *x, REAL *y, REAL slope, int n) {
    int i = flat_index();
    if (i < n) y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

KERNEL leaky_relu_backward(const REAL *dy, const REAL *y, REAL *dx, REAL slope, int n) {
    int i = flat_index();
    if (i < n) dx[i] = y[i] > 0 ? dy[i] : slope * dy[i];
}

KERNEL tanh_forward(const REAL *x, REAL *y, int n) {
    int i = flat_index();
    if (i < n) y[i] = tanh(x[i]);
}

KERNEL tanh_backward(const REAL *dy, const REAL *y, REAL *dx, int n) {
    int i = flat_index();
    if (i < n) dx[i] = (1 - y[i] * y[i]) * dy[i];
}

KERNEL sigmoid(const REAL *x, REAL *y, int n) {
    int i = flat_index();
    if (i < n) y[i] = REAL(0.5) * (tanh(REAL(0.5) * x[i]) + 1);
}

KERNEL sigmoid_backward(const REAL *dy, const REAL *y, REAL *dx, int n) {
    int i = flat_index();
    if (i < n) dx[i] = (1 - y[i]) * y[i] * dy[i];
}
