r"""Normalisations: the three ways in which x moves the output, and which of them was forgotten.

Whatever the normalisation, its gradient is, within each group of values,

.. math:: dx_i = a\,dy_i + b\,\overline{dy} + c\,(x_i - \mu)\,\overline{dy\,(x - \mu)},

so fitting a, b, c to the numeric gradient shows that the code normalises and over which axes, and
fitting them to the analytic one shows which way is missing or weighted wrongly.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from tinygan.gradcheck.evidence import Evidence, Match

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
    for axes in _subsets(x.ndim):
        if np.prod([x.shape[a] for a in axes]) < 4:
            continue
        true = _fit(_ways(x, evidence.dys, axes, axes), right, axes, evidence.tolerance)
        if true is None or not _normalises(true, x, evidence.dys, axes):
            continue
        got = _fit(_ways(x, evidence.dys, axes, axes), found, axes, evidence.tolerance)
        if got is not None:
            return _compare(true, got, int(np.prod([x.shape[a] for a in axes])))
        for other in _subsets(x.ndim):
            if other == axes:
                continue
            for label, mean_axes, var_axes in (
                ("mean(dy)", other, axes),
                ("mean(dy·x̂)", axes, other),
                ("both means", other, other),
            ):
                ways = _ways(x, evidence.dys, mean_axes, var_axes, axes)
                got = _fit(ways, found, axes, evidence.tolerance)
                if got is not None:
                    text = f"{label} in dx: taken over axes {other}; take it over axes {axes}"
                    return [Match("wrong axis", text, 2)]
        for label, plain in (("x", x), ("y", evidence.y)):
            ways = _ways(x, evidence.dys, axes, axes, axes, plain)
            if _fit(ways, found, axes, evidence.tolerance) is not None:
                text = f"the way through the variance uses {label} where x̂ is due"
                return [Match("wrong tensor", text, 2)]
        return []
    return []


def _ways(x, dys, mean_axes, var_axes, axes=None, plain=None):
    axes = var_axes if axes is None else axes
    centred = x - x.mean(axis=axes, keepdims=True) if plain is None else plain
    return [
        [
            dy,
            np.broadcast_to(dy.mean(axis=mean_axes, keepdims=True), x.shape),
            centred * (dy * centred).mean(axis=var_axes, keepdims=True),
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


def _normalises(fit, x, dys, axes):
    """Whether both means take part."""
    a = np.abs(fit[:, 0]).max()
    variance = x.var(axis=axes).mean()
    return a > 0 and np.abs(fit[:, 1]).min() > 1e-3 * a and np.abs(fit[:, 2]).min() > (
        1e-3 * a / variance
    )


def _compare(true, got, count):
    ratios = got / true
    steady = np.ptp(ratios, axis=0) <= 1e-3 * np.maximum(1, np.abs(ratios).max(axis=0))
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
            return [Match("constant factor", "in dx, " + "; ".join(parts), 2)]
    if np.allclose(ratios, ratios[:, :1], rtol=1e-3):
        text = (
            "each channel is off by a factor of its own: γ or the standard deviation is missing "
            "or there twice"
        )
        return [Match("missing term", text, 2)]
    return []


def _subsets(ndim):
    for count in range(ndim, 0, -1):
        yield from combinations(range(ndim), count)
