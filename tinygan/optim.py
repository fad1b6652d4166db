"""Adam, and the learning rate over the epochs."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from tinygan.fast import cuda as kernels
from tinygan.layer import Parameter
from tinygan.machine.arrays import asnumpy, get_xp
from tinygan.machine.parallel import for_slices, workspace

__all__ = ["Adam", "linear_decay"]

_SLICE = 1 << 18  # elements, see `tinygan.fast.cpu.slices.SLICE`


class Adam:
    r"""Adam: steps scaled by running estimates of the gradient's mean and size.

    Parameters
    ----------
    parameters : iterable of Parameter
        What is learnt.
    lr : float
        α, the learning rate.  It may be set between steps.
    betas : pair of float
        β₁ and β₂, the shares that the two running averages keep, each in [0, 1).
    eps : float
        ε, which keeps the division finite.

    Attributes
    ----------
    steps : int
        t, how many steps have been taken.

    Notes
    -----
    With the gradient g of each number θ,

    .. math::
        m &\leftarrow \beta_1 m + (1 - \beta_1)\, g, &
        \hat m &= m / (1 - \beta_1^t), \\
        v &\leftarrow \beta_2 v + (1 - \beta_2)\, g^2, &
        \hat v &= v / (1 - \beta_2^t), \\
        \theta &\leftarrow \theta - \alpha\, \hat m / (\sqrt{\hat v} + \epsilon). &&

    m and v start at zero and would be too small at first; dividing by :math:`1 - \beta^t`, the
    sum of the weights given so far, takes that bias out.

    References
    ----------
    Kingma, Ba, *Adam*, 2015, Algorithm 1.  "β value for Adam optimiser", 0.5: DeepFake Generation …
    DCGAN, section III.

    Examples
    --------
    The first step is α for every number, whatever the gradient's size:

    >>> import numpy as np
    >>> parameter = Parameter(np.array([1.0, 1.0]))
    >>> adam = Adam([parameter], lr=0.1)
    >>> parameter.grad += [5.0, -0.001]
    >>> adam.step()
    >>> parameter.data.round(4)
    array([0.9, 1.1])
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ):
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError("Adam: expected at least one parameter, got none")
        for parameter in self.parameters:
            if not isinstance(parameter, Parameter):
                raise TypeError(f"Adam: expected Parameters, got {type(parameter).__name__}")
        if not (math.isfinite(lr) and lr >= 0):
            raise ValueError(f"Adam: lr: expected a number of at least 0, got {lr!r}")
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"Adam: betas: expected two numbers in [0, 1), got {betas!r}")
        if not eps > 0:
            raise ValueError(f"Adam: eps: expected a positive number, got {eps!r}")
        self.lr, self.betas, self.eps = float(lr), tuple(betas), float(eps)
        self.steps = 0
        self.moments = [(_zeros(p), _zeros(p)) for p in self.parameters]
        self._table = None

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to zero."""
        table = self._all_at_once()
        if table is not None:
            table.clear_gradients()
            return
        for parameter in self.parameters:
            parameter.zero_grad()

    def step(self) -> None:
        """Change every parameter by one step along its gathered gradient."""
        self.steps += 1
        table = self._all_at_once()
        if table is not None:
            table.step(*self._scalars())
            return
        for parameter, (m, v) in zip(self.parameters, self.moments, strict=True):
            self._update(parameter, m, v)

    def _all_at_once(self):
        """Return the table for the kernel that works on all parameters, or None without one."""
        if not kernels.usable(self.parameters[0].data):
            return None
        tensors = [
            (p.data, p.grad, *moments)
            for p, moments in zip(self.parameters, self.moments, strict=True)
        ]
        if self._table is None or self._table.key != kernels.AdamTable.key_of(tensors):
            usable = kernels.usable(*(array for four in tensors for array in four))
            self._table = kernels.AdamTable(tensors) if usable else None
        return self._table

    def _scalars(self):
        """Return rate, β₁, β₂ and ε' of ``rate · m / (√v + ε') = α m̂ / (√v̂ + ε)``."""
        beta1, beta2 = self.betas
        correction = math.sqrt(1 - beta2**self.steps)
        rate = self.lr * correction / (1 - beta1**self.steps)
        return rate, beta1, beta2, self.eps * correction

    def _update(self, parameter, m, v):
        rate, beta1, beta2, eps = self._scalars()
        xp = get_xp(parameter.data, parameter.grad, m)
        theta, g, m, v = (a.reshape(-1) for a in (parameter.data, parameter.grad, m, v))

        def update(a, b):
            new = workspace("adam", (b - a,), g.dtype) if xp is np else xp.empty_like(g)
            for average, beta in ((m, beta1), (v, beta2)):
                xp.multiply(g[a:b], 1 - beta, out=new)
                if average is v:
                    new *= g[a:b]
                average[a:b] *= beta
                average[a:b] += new
            xp.sqrt(v[a:b], out=new)
            new += eps
            xp.divide(m[a:b], new, out=new)
            new *= rate
            theta[a:b] -= new

        for_slices(update, theta.size, _SLICE, xp)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of the moments and the count of steps as NumPy arrays."""
        state = {"steps": np.array(self.steps, np.int64)}
        for i, (m, v) in enumerate(self.moments):
            state[f"{i}.m"], state[f"{i}.v"] = np.array(asnumpy(m)), np.array(asnumpy(v))
        return state

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Take up where the optimiser that gave `state` was.

        Raises
        ------
        ValueError
            If the state is not one of these parameters.  Nothing is changed then.
        """
        expected = {"steps": ()}
        for i, parameter in enumerate(self.parameters):
            expected[f"{i}.m"] = expected[f"{i}.v"] = tuple(parameter.shape)
        got = {name: tuple(array.shape) for name, array in state.items()}
        if got != expected:
            wrong = [name for name in {**expected, **got} if got.get(name) != expected.get(name)]
            raise ValueError(
                f"Adam.load_state_dict: the state is not one of these parameters: {wrong[0]}: "
                f"expected {expected.get(wrong[0], 'nothing')}, got {got.get(wrong[0], 'nothing')}"
            )
        self.steps = int(state["steps"])
        for i, moments in enumerate(self.moments):
            for array, name in zip(moments, ("m", "v"), strict=True):
                array[...] = get_xp(array).asarray(np.asarray(state[f"{i}.{name}"], array.dtype))


def _zeros(parameter):
    return get_xp(parameter.data).zeros_like(parameter.data)


def linear_decay(
    lr: float, epoch: int, epochs: int, decay_from: int, reading: str = "paper"
) -> float:
    r"""Return the learning rate of a 0-based epoch: constant at first, then a straight line down.

    Parameters
    ----------
    lr : float
        The initial rate.
    epoch : int
        e, from 0.
    epochs : int
        E, how many there are in all.
    decay_from : int
        E₀, how many the rate stays constant for.  E₀ = E never decays.
    reading : {"paper", "literal", "published"}
        Algorithm 1 of the second paper can be read in several ways, see the notes.

    Notes
    -----
    ``paper`` applies the formula of Algorithm 1 to epoch e itself,
    :math:`\alpha_e = \alpha_0 \min(1, (E - e) / (E - E_0))`, which would reach zero just after the
    last epoch.  ``literal`` assigns it at the end of an epoch, as its lines stand, so that the rate
    lags one epoch behind.  ``published`` is Zhu et al.'s code,
    :math:`1 - \max(0, e + 1 - E_0) / (E - E_0 + 1)`.

    References
    ----------
    "Deep Fakes" using GANs, section 2.3, Algorithm 1.

    Examples
    --------
    >>> [linear_decay(1.0, e, epochs=4, decay_from=2) for e in range(4)]
    [1.0, 1.0, 1.0, 0.5]
    """
    if not 0 <= decay_from <= epochs:
        raise ValueError(
            f"linear_decay: decay_from: expected a number in [0, epochs = {epochs}], "
            f"got {decay_from}"
        )
    if reading == "published":
        return lr * (1 - max(0, epoch + 1 - decay_from) / (epochs - decay_from + 1))
    if reading not in ("paper", "literal"):
        raise ValueError(
            f"linear_decay: reading: expected 'paper', 'literal' or 'published', got {reading!r}"
        )
    e = epoch if reading == "paper" else epoch - 1
    if e < decay_from or decay_from == epochs:
        return lr
    return lr * (1 - (e - decay_from) / (epochs - decay_from))


class RMSprop(Adam):  # STUB
    def __init__(self, parameters, lr=1e-2):
        super().__init__(parameters, lr, (0.0, 0.99))
