"""Optimizers, and the learning rate over the epochs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tinygan.checks import number
from tinygan.distributed.shared import average_gradients
from tinygan.fast import accelerated
from tinygan.layer import Parameter
from tinygan.machine.arrays import Array, asnumpy, get_xp

__all__ = ["SGD", "Adam", "Optimizer", "RMSprop", "linear_decay"]


class Optimizer:
    """What all optimizers share: parameters, their slots, the count of steps, their state.

    A subclass names its slots, the arrays of zeros that it keeps for each parameter, and defines
    ``update(theta, g, *slots)``, which changes the parameter's values `theta` and its slots *in
    place*, given the gradient `g`.

    Parameters
    ----------
    parameters : iterable of Parameter
        What is learnt.
    lr : float
        α, the learning rate.  It may be set between steps.

    Attributes
    ----------
    slot_names : tuple of str
        What the slots are called in `state_dict`.
    slots : list of tuple of ndarray
        Of each parameter.
    steps : int
        t, how many steps have been taken, the one that `update` is called in among them.

    Examples
    --------
    >>> import numpy as np
    >>> class Descent(Optimizer):
    ...     def update(self, theta, g):
    ...         theta -= self.lr * g
    >>> parameter = Parameter(np.array([1.0, 1.0]))
    >>> descent = Descent([parameter], lr=0.1)
    >>> parameter.grad += [5.0, -1.0]
    >>> descent.step()
    >>> parameter.data
    array([0.5, 1.1])
    """

    slot_names: tuple[str, ...] = ()

    def __init__(self, parameters: Iterable[Parameter], lr: float):
        name = type(self).__name__
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError(f"{name}: expected at least one parameter, got none")
        for parameter in self.parameters:
            if not isinstance(parameter, Parameter):
                raise TypeError(f"{name}: expected Parameters, got {type(parameter).__name__}")
        if len({id(parameter) for parameter in self.parameters}) < len(self.parameters):
            raise ValueError(f"{name}: expected each parameter once, got one of them twice")
        self.lr = number(lr, f"{name}: lr", "[0, inf)")
        self.steps = 0
        self.slots = [tuple(_zeros(p) for _ in self.slot_names) for p in self.parameters]

    def update(self, theta: Array, g: Array, *slots: Array) -> None:
        """Change `theta` and its `slots` in place, by the gradient `g`."""
        raise NotImplementedError(f"{type(self).__name__} does not define update(theta, g, *slots)")

    def step(self) -> None:
        """Change every parameter by one step along its gathered gradient."""
        self.steps += 1
        thetas, gradients = zip(*((p.data, p.grad) for p in self.parameters), strict=True)
        average_gradients(gradients)
        update_all(list(thetas), list(gradients), self.slots, self)

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to zero."""
        for parameter in self.parameters:
            parameter.zero_grad()

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of the count of steps and of all slots as NumPy arrays.

        The slots are called ``0.m``, ``0.v``, ``1.m``, …: the parameter's place in `parameters`
        and the slot's name.
        """
        state = {"steps": np.array(self.steps, np.int64)}
        return state | {name: np.array(asnumpy(slot)) for name, slot in self._named_slots()}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Take up where the optimizer that gave `state` was.

        Raises
        ------
        ValueError
            If the state is not one of these parameters.  Nothing is changed then.
        """
        slots = dict(self._named_slots())
        expected = {"steps": "a count"} | {n: f"real numbers {a.shape}" for n, a in slots.items()}
        got = {name: _described(name, np.asarray(array)) for name, array in state.items()}
        for name in {**expected, **got}:
            if got.get(name) != expected.get(name):
                raise ValueError(
                    f"{type(self).__name__}.load_state_dict: the state is not one of these "
                    f"parameters: {name}: expected {expected.get(name, 'nothing')}, "
                    f"got {got.get(name, 'nothing')}"
                )
        self.steps = int(state["steps"])
        for name, slot in slots.items():
            slot[...] = get_xp(slot).asarray(np.asarray(state[name], slot.dtype))

    def _named_slots(self) -> Iterator[tuple[str, Array]]:
        for i, slots in enumerate(self.slots):
            for name, slot in zip(self.slot_names, slots, strict=True):
                yield f"{i}.{name}", slot


class Adam(Optimizer):
    r"""Adam: steps scaled by running estimates of the gradient's mean and size.

    Parameters
    ----------
    parameters : iterable of Parameter
        What is learnt.
    lr : float
        α, the learning rate.
    betas : pair of float
        β₁ and β₂, the shares that the two running averages keep, each in [0, 1).
    eps : float
        ε, which keeps the division finite.

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

    slot_names = ("m", "v")

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ):
        super().__init__(parameters, lr)
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ValueError(f"Adam: betas: expected two numbers in [0, 1), got {betas!r}")
        beta1, beta2 = (number(beta, "Adam: betas", "[0, 1)") for beta in betas)
        self.betas, self.eps = (beta1, beta2), number(eps, "Adam: eps", "(0, inf)")

    def update(self, theta: Array, g: Array, m: Array, v: Array) -> None:
        (beta1, beta2), t, xp = self.betas, self.steps, get_xp(theta)
        m[...] = beta1 * m + (1 - beta1) * g
        v[...] = beta2 * v + (1 - beta2) * g * g
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        theta -= self.lr * m_hat / (xp.sqrt(v_hat) + self.eps)


class SGD(Optimizer):
    r"""Gradient descent, with momentum if it is asked for.

    Parameters
    ----------
    parameters : iterable of Parameter
    lr : float
        α, the learning rate.
    momentum : float
        μ in [0, 1), the share of the last step's direction that is kept; 0 keeps no slot.

    Notes
    -----
    .. math::
        v \leftarrow \mu v + g, \qquad \theta \leftarrow \theta - \alpha v.

    References
    ----------
    Polyak, *Some methods of speeding up the convergence of iteration methods*, 1964.

    Examples
    --------
    >>> import numpy as np
    >>> parameter = Parameter(np.array([1.0]))
    >>> sgd = SGD([parameter], lr=0.1, momentum=0.5)
    >>> for _ in range(2):
    ...     parameter.grad[...] = 1.0
    ...     sgd.step()
    >>> parameter.data  # 1 - 0.1 - 0.15
    array([0.75])
    """

    def __init__(self, parameters: Iterable[Parameter], lr: float = 1e-2, momentum: float = 0.0):
        self.momentum = number(momentum, "SGD: momentum", "[0, 1)")
        self.slot_names = ("v",) if momentum else ()
        super().__init__(parameters, lr)

    def update(self, theta: Array, g: Array, v: Array = None) -> None:
        if v is not None:
            v[...] = self.momentum * v + g
            g = v
        theta -= self.lr * g


class RMSprop(Optimizer):
    r"""RMSprop: steps scaled by a running estimate of the gradient's size.

    Parameters
    ----------
    parameters : iterable of Parameter
    lr : float
        α, the learning rate.
    decay : float
        ρ in [0, 1), the share that the running average keeps.
    eps : float
        ε, which keeps the division finite.

    Notes
    -----
    .. math::
        v \leftarrow \rho v + (1 - \rho)\, g^2, \qquad
        \theta \leftarrow \theta - \alpha\, g / (\sqrt{v} + \epsilon).

    References
    ----------
    Tieleman, Hinton, lecture 6.5 of *Neural Networks for Machine Learning*, 2012.  Arjovsky,
    Chintala, Bottou, *Wasserstein GAN*, 2017, train their critic with it.

    Examples
    --------
    >>> import numpy as np
    >>> parameter = Parameter(np.array([1.0, 1.0]))
    >>> rmsprop = RMSprop([parameter], lr=0.1, decay=0.75)
    >>> parameter.grad += [5.0, -0.001]
    >>> rmsprop.step()
    >>> parameter.data.round(4)
    array([0.8, 1.2])
    """

    slot_names = ("v",)

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-2,
        decay: float = 0.99,
        eps: float = 1e-8,
    ):
        super().__init__(parameters, lr)
        self.decay = number(decay, "RMSprop: decay", "[0, 1)")
        self.eps = number(eps, "RMSprop: eps", "(0, inf)")

    def update(self, theta: Array, g: Array, v: Array) -> None:
        v[...] = self.decay * v + (1 - self.decay) * g * g
        theta -= self.lr * g / (get_xp(v).sqrt(v) + self.eps)


@accelerated
def update_all(
    thetas: list[Array], gradients: list[Array], slots: list[tuple[Array, ...]], optimizer: Any
) -> None:
    """Update all parameters in place; Adam has fast versions of the whole list."""
    for theta, g, own in zip(thetas, gradients, slots, strict=True):
        optimizer.update(theta, g, *own)


def _zeros(parameter: Parameter) -> Array:
    return get_xp(parameter.data).zeros_like(parameter.data)


def _described(name: str, array: Any) -> str:
    """Say what an array of a state is, in the words of what is expected."""
    if name != "steps":
        return f"{'real numbers' if array.dtype.kind == 'f' else array.dtype} {array.shape}"
    if array.shape == () and array.dtype.kind in "iu":
        return "a count" if array >= 0 else str(array)
    return f"{array.dtype} {array.shape}"


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
