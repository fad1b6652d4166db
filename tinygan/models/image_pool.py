"""A history of generated pictures, so that a discriminator does not forget what it has unmasked."""

from __future__ import annotations

import numpy as np

from tinygan.checks import count
from tinygan.distributed.shared import of_whole_batch
from tinygan.machine.arrays import Array, asarray, asnumpy, get_xp

__all__ = ["ImagePool"]


class ImagePool:
    """Remember generated pictures and show a discriminator old ones among the new.

    Image by image: while the pool is not full, the picture is stored and returned.  When it is
    full, the picture takes the place of a random stored one, which is returned, with probability
    1/2; else it is returned and not stored.

    Parameters
    ----------
    size : int
        How many pictures are remembered; 0 passes every picture through.
    seed : int
        Of the random decisions.

    Attributes
    ----------
    images : list of ndarray
        The stored pictures ``(H, W, C)``, on the backend they came from.
    calls : int
        How often the pool was asked.  The seed and this count decide everything random in the next
        call alone, so they and the pictures are the whole state.

    References
    ----------
    Shrivastava et al., *Learning from Simulated and Unsupervised Images through Adversarial
    Training*, 2017, section 2.3; with this rule and 50 pictures in the code published with Zhu et
    al., *Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks*, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> pool = ImagePool(2, seed=0)
    >>> pictures = [np.full((1, 1, 1, 1), i) for i in range(6)]
    >>> [int(pool(picture)[0, 0, 0, 0]) for picture in pictures]
    [0, 1, 2, 0, 1, 5]
    """

    def __init__(self, size: int = 50, seed: int = 0):
        self.size, self.seed = count(size, "ImagePool: size", 0), int(seed)
        self.images: list = []
        self.calls = 0

    def __call__(self, images: Array) -> Array:
        """Return a batch of as many pictures as `images`, ``(N, H, W, C)``, some of them older."""
        if self.size == 0:
            return images
        if self.images and self.images[0].shape != images.shape[1:]:
            raise ValueError(
                f"ImagePool: expected pictures of the shape {self.images[0].shape} of those it "
                f"remembers, got {tuple(images.shape[1:])}"
            )
        return of_whole_batch(self._show, images)

    def _show(self, images: Array) -> Array:
        rng = np.random.Generator(np.random.Philox(key=[self.seed, self.calls]))
        self.calls += 1
        shown = []
        for image in images:
            if len(self.images) < self.size:
                self.images.append(image.copy())  # a view would keep the whole batch alive
            elif rng.random() < 0.5:
                place = int(rng.integers(self.size))
                image, self.images[place] = self.images[place], image.copy()
            shown.append(image)
        return get_xp(*shown).stack(shown)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the seed, the count of calls and, if there are any, the pictures as arrays."""
        state = {"state": np.array([self.seed, self.calls], np.uint64)}
        if self.images:
            state["images"] = np.stack([asnumpy(image) for image in self.images])
        return state

    def load_state_dict(self, state: dict[str, np.ndarray], backend: str = "numpy") -> None:
        """Take up where the pool that gave `state` was; put its pictures on `backend`.

        Raises
        ------
        ValueError
            If the state holds more pictures than this pool can, or no seed and count.  Nothing is
            changed then.
        """
        numbers = np.asarray(state.get("state"))
        if numbers.shape != (2,) or numbers.dtype.kind not in "iu" or not _in_range(numbers):
            raise ValueError(
                "ImagePool.load_state_dict: state: expected the seed and the count of calls, "
                f"got {state.get('state')!r}"
            )
        images = [asarray(np.array(image), backend) for image in state.get("images", ())]
        if len(images) > self.size:
            raise ValueError(
                f"ImagePool.load_state_dict: expected at most size = {self.size} pictures, "
                f"got {len(images)}"
            )
        self.images = images
        self.seed, self.calls = (int(number) for number in numbers)

    def __repr__(self) -> str:
        return f"ImagePool({self.size}, seed={self.seed})"


def _in_range(numbers: np.ndarray) -> bool:
    return all(0 <= int(number) < 2**63 for number in numbers)
