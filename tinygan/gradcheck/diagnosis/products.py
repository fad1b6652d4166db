r"""Layers like :math:`y = f(x W + \dots)`: f's slope, W and x, forgotten or exchanged.

The Jacobian shows the slope: :math:`\partial y_{no}/\partial x_{ni} = W_{io}\, s_{no}`, and 1 more
on the diagonal where x is added to the output.
"""

from __future__ import annotations

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Guess


def behind_a_product(evidence: Evidence, name):
    """The slope of what follows a product, one of its factors, or the skip."""
    tensors = evidence.tensors
    if evidence.is_loss or evidence.y.ndim != 2 or tensors[name].ndim > 2:
        return
    for image, weight, w, turned, skip, slope in _products(evidence):
        missing = f"the slope of what follows {image}·{weight} is missing"
        twice = f"the slope of what follows {image}·{weight} is there twice"
        others = {n: v for n, v in tensors.items() if n not in (image, weight) and v.ndim == 2}
        if name == image:

            def dx(s, w=w, skip=float(skip)):
                return lambda dy: (dy * s) @ w.T + skip * dy

            yield Guess("missing term", missing, 1, dx(1.0))
            yield Guess("extra term", twice, 1, dx(slope**2))
            if w.shape[0] == w.shape[1]:
                text = f"{weight} is used where its transpose is due"
                yield Guess("transposed", text, 1, dx(slope, w.T))
            if skip:
                text = f"only the skip arrives, what goes through {weight} is missing"
                yield Guess("missing term", text, 1, lambda dy: dy)
                yield Guess("missing term", "the skip, dy itself, is missing", 1, dx(slope, skip=0))
                yield Guess("extra term", "the skip, dy, is added twice", 1, dx(slope, skip=2))
            for other, v in others.items():
                if v.shape == tensors[weight].shape:
                    text = f"{other} is used where {weight} is due"
                    yield Guess("wrong tensor", text, 1, dx(slope, v.T if turned else v))
        elif name == weight:

            def dw(s, x=tensors[image], turned=turned):
                return lambda dy: (x.T @ (dy * s)).T if turned else x.T @ (dy * s)

            yield Guess("missing term", missing, 1, dw(1.0))
            yield Guess("extra term", twice, 1, dw(slope**2))
            for other, v in {**others, "y": evidence.y}.items():
                if v.shape == tensors[image].shape:
                    text = f"{other} is used where {image} is due"
                    yield Guess("wrong tensor", text, 1, dw(slope, v))
        elif tensors[name].shape == evidence.y.shape[1:]:
            yield Guess("missing term", missing, 1, lambda dy: dy.sum(0))
            yield Guess("extra term", twice, 1, lambda dy, s=slope: (dy * s**2).sum(0))


def rows_of_terms(evidence: Evidence, name):
    r"""One number a row, as a cosine: :math:`dx_n = \alpha_n a_n + \beta_n b_n`, term by term."""
    x, dys = evidence.tensors[name], evidence.dys
    if evidence.is_loss or x.ndim != 2 or evidence.y.shape != x.shape[:1] or x.shape[1] < 3:
        return
    others = {n: v for n, v in evidence.tensors.items() if v.shape == x.shape}
    if not 2 <= len(others) < x.shape[1]:
        return
    basis = np.stack(list(others.values()), axis=2)
    right, found = evidence.right(name), evidence.found(name)
    fits = [_fit_rows(basis, g, evidence.tolerance) for g in (*right, *found)]
    if any(fit is None for fit in fits):
        return
    true, got = (np.concatenate(part) for part in (fits[: len(dys)], fits[len(dys) :]))
    size = np.abs(true).max(axis=0)
    if (size < 1e-6 * size.max()).any():
        return
    ratio = got / np.where(np.abs(true) > 1e-9 * size, true, np.nan)
    means, spread = np.nanmean(ratio, axis=0), np.nanmax(np.abs(ratio - np.nanmean(ratio, 0)), 0)
    if (spread > 1e-4).any() or not (np.abs(means - 1) < 1e-4).any():
        return
    for (n, _), c in zip(others.items(), means, strict=True):
        if abs(c) < 1e-4:
            yield Guess("missing term", f"the term along {n} is missing", 2)
        elif abs(c - 1) > 1e-4:
            yield Guess("constant factor", f"the term along {n} is {c:.4g} times too large", 2)


def _fit_rows(basis, gradient, tolerance):
    """Return the coefficients ``(rows, terms)``, or None where they do not fit exactly."""
    got = np.stack(
        [np.linalg.lstsq(b, g, rcond=None)[0] for b, g in zip(basis, gradient, strict=True)]
    )
    rest = np.abs(np.einsum("nik,nk->ni", basis, got) - gradient).max()
    return got if rest <= tolerance * np.abs(gradient).max() else None


def _products(evidence):
    if hasattr(evidence, "product_list"):
        return evidence.product_list
    tensors, (n, o), result = evidence.tensors, evidence.y.shape, []
    for image, x in tensors.items():
        if x.ndim != 2 or len(x) != n:
            continue
        jacobian = evidence.jacobian(image).reshape(n, -1, n, o)
        own = np.stack([jacobian[k, :, k] for k in range(n)])
        if np.abs(jacobian).sum() - np.abs(own).sum() > 1e-6 * np.abs(own).sum():
            continue
        for weight, value in tensors.items():
            for w, turned in ((value, False), (value.T, True)):
                if weight == image or w.shape != own.shape[1:]:
                    continue
                for skip in (False, True) if x.shape == evidence.y.shape else (False,):
                    rest = own - np.eye(o) if skip else own
                    slope = (rest * w).sum(axis=1) / (w * w).sum(axis=0)
                    size = np.abs(own).max()
                    if np.abs(rest - w * slope[:, None]).max() < 1e-6 * size and slope.any():
                        result.append((image, weight, w, turned, skip, slope))
    evidence.product_list = result
    return result
