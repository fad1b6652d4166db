from matrix import col2im, im2col, sizes


def conv2d(x, w, b, stride, padding):
    patches = im2col(x, w.shape[:2], stride, padding)
    y = patches @ w.reshape(-1, w.shape[3]) + b
    rows, columns = sizes(x.shape, w.shape[:2], stride, padding)
    return y.reshape(len(x), rows, columns, -1), (patches, x.shape, w, stride, padding)


def conv2d_backward(dy, cache):
    patches, shape, w, stride, padding = cache
    flat = dy.reshape(-1, w.shape[3])
    dw = (patches.T @ flat).reshape(w.shape)
    dpatches = flat @ w.reshape(-1, w.shape[3]).T
    return col2im(dpatches, shape, w.shape[:2], stride, padding), dw, flat.sum(axis=0)
