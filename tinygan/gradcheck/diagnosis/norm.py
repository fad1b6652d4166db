r"""Normalisations: the three ways in which x moves the output, and which of them was forgotten.

Whatever the normalisation, its gradient is, within each group of values,

.. math:: dx_i = a\,dy_i + b\,\overline{dy} + c\,(x_i - \mu)\,\overline{dy\,(x - \mu)},

so fitting a, b, c to the numeric gradient shows that the code normalises and over which axes, and
fitting them to the analytic one shows which way is missing or weighted wrongly.
"""

from __future__ import annotations

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Match, subsets

WAYS = (
    "dy itself",
    "the way through the mean, −mean(dy)",
    "the way through the variance, −x̂·mean(dy·x̂)",
)


def normalisation(evidence: Evidence, name):
    """Compare the three coefficients of the analytic gradient with the numeric one's."""
    x = evidence.subject.tensors[name]
    if name != evidence.input_name or x.shape != evidence.y.shape or x.ndim < 2:
        return []
    right, found = evidence.right(name), evidence.analytic(name)
    for axes in sorted(subsets(range(x.ndim)), key=len, reverse=True):
        count = int(np.prod([x.shape[a] for a in axes]))
        if count < 4:
            continue
        for dys in _weighted(evidence, x):
            true = _fit(_ways(dys, _centred(x, axes), axes), right, axes, evidence.tolerance)
            if true is not None and _normalises(true, x, axes):
                return _against(evidence, x, dys, axes, count, true, found)
    return []


def _against(evidence, x, dys, axes, count, true, found):
    """Fit the analytic gradient with the same three ways, then with likely variants of them."""
    tolerance = evidence.tolerance
    xhat = _centred(x, axes) * _spread(np.sqrt(np.abs(true[:, 2] / true[:, 0])), x, axes)
    true = _fit(_ways(dys, xhat, axes), evidence.right(evidence.input_name), axes, tolerance)
    got = _fit(_ways(dys, xhat, axes), found, axes, tolerance)
    if got is not None and true is not None:
        return _compare(true, got, count)
    for other in sorted(subsets(range(x.ndim)), key=len, reverse=True):
        if other == axes:
            continue
        for label, mean_axes, var_axes in (
            ("mean(dy)", other, axes),
            ("mean(dy·x̂)", axes, other),
            ("both means", other, other),
        ):
            ways = _ways(dys, xhat, mean_axes, var_axes)
            if _fit(ways, found, axes, tolerance) is not None:
                text = f"in dx, {label} is taken over axes {other}; take it over axes {axes}"
                return [Match("wrong axis", text, 1)]
    for label, plain in (("x", x), ("y", evidence.y), ("x − mean", _centred(x, axes))):
        for outer, inner in ((plain, plain), (plain, xhat), (xhat, plain)):
            ways = _ways(dys, outer, axes, axes, inner)
            if _fit(ways, found, axes, tolerance) is not None:
                text = f"in dx, the way through the variance uses {label} where x̂ is due"
                return [Match("wrong tensor", text, 1)]
    return []


def _weighted(evidence, x):
    """Yield dy as it is, and times each parameter that has a number for every feature."""
    yield evidence.dys
    for value in evidence.subject.tensors.values():
        if value.shape == x.shape[1:] or (value.ndim == 1 and value.size == x.shape[-1]):
            yield [dy * value for dy in evidence.dys]


def _centred(x, axes):
    return x - x.mean(axis=axes, keepdims=True)


def _spread(values, x, axes):
    """Return one value for each group as an array that broadcasts against x."""
    return values.reshape([1 if i in axes else n for i, n in enumerate(x.shape)])


def _ways(dys, xhat, mean_axes, var_axes=None, inner=None):
    var_axes = mean_axes if var_axes is None else var_axes
    inner = xhat if inner is None else inner
    return [
        [
            dy,
            np.broadcast_to(dy.mean(axis=mean_axes, keepdims=True), dy.shape),
            xhat * (dy * inner).mean(axis=var_axes, keepdims=True),
        ]
        for dy in dys
    ]


def _fit(ways, gradients, axes, tolerance):
    """Return a, b, c of every group, ``(groups, 3)``, or None if they do not fit exactly."""
    ndim = gradients[0].ndim
    rest = [i for i in range(ndim) if i not in axes]
    shape = gradients[0].shape
    groups = int(np.prod([shape[i] for i in rest])) if rest else 1

    def grouped(array):
        return array.transpose([*rest, *axes]).reshape(groups, -1)

    basis = np.stack(
        [np.concatenate([grouped(w[i]) for w in ways], axis=1) for i in range(3)], axis=2
    )
    target = np.concatenate([grouped(g) for g in gradients], axis=1)
    size = np.abs(target).max()
    result = np.empty((groups, 3))
    for k in range(groups):
        result[k], *_ = np.linalg.lstsq(basis[k], target[k], rcond=None)
        if np.abs(basis[k] @ result[k] - target[k]).max() > 10 * tolerance * size:
            return None
    return result


def _normalises(fit, x, axes):
    """Whether both means take part."""
    a = np.abs(fit[:, 0]).max()
    variance = x.var(axis=axes).mean()
    return (
        a > 0
        and np.abs(fit[:, 1]).min() > 1e-3 * a
        and np.abs(fit[:, 2]).min() > (1e-3 * a / variance)
    )


def _compare(true, got, count):
    ratios = got / true
    steady = np.ptp(ratios, axis=0) <= 2e-5 * np.maximum(1, np.abs(ratios).max(axis=0))
    ratio = ratios.mean(axis=0)
    gone = (np.abs(ratios) < 1e-4).all(axis=0)
    if gone.any() and not gone.all():
        text = " and ".join(way for way, is_gone in zip(WAYS, gone, strict=True) if is_gone)
        return [Match("missing term", f"in dx, {text} is missing", 1)]
    if steady.all():
        base = ratio[0]
        wrong = [i for i in (1, 2) if abs(ratio[i] / base - 1) > 1e-3]
        if wrong:
            parts = []
            for i in wrong:
                c = ratio[i] / base
                label = "the sign" if abs(c + 1) < 1e-3 else f"{c:.4g}"
                if abs(c / count - 1) < 1e-3:
                    label = f"{count}, the number of values: a sum in place of a mean"
                parts.append(f"{WAYS[i]} is off by {label}")
            return [Match("constant factor", "in dx, " + "; ".join(parts), 1)]
        return []
    if np.allclose(ratios, ratios[:, :1], rtol=1e-3):
        text = (
            "each channel is off by a factor of its own: γ or the standard deviation is missing "
            "or there twice"
        )
        return [Match("missing term", text, 1)]
    return []
