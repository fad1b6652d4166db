"""Pictures to learn from: folders of any images, drawn data sets, batches prepared ahead.

Everything here is plain NumPy on the host; who trains moves the batches.  Images are kept as
bytes ``(N, H, W, C)`` and leave as float32 in [−1, 1].
"""

from collections.abc import Callable
from functools import partial

from tinygan.data.conversion import to_float, to_uint8
from tinygan.data.drawing import DrawnImages
from tinygan.data.drawn_bags import BAG_CATEGORIES, bags
from tinygan.data.drawn_faces import FACE_CATEGORIES, faces
from tinygan.data.drawn_lenses import LENS_CATEGORIES, lenses
from tinygan.data.drawn_seasons import SEASON_CATEGORIES, seasons
from tinygan.data.fingerprint import checksum, is_same_data
from tinygan.data.folder import ImageFolder
from tinygan.data.images import load_image, save_grid
from tinygan.data.prefetcher import Prefetcher, UnpairedPrefetcher
from tinygan.errors import DataError

__all__ = [
    "BAG_CATEGORIES",
    "DRAWN_SETS",
    "FACE_CATEGORIES",
    "LENS_CATEGORIES",
    "SEASON_CATEGORIES",
    "DataError",
    "DrawnImages",
    "ImageFolder",
    "Prefetcher",
    "UnpairedPrefetcher",
    "bags",
    "checksum",
    "faces",
    "is_same_data",
    "lenses",
    "load_image",
    "save_grid",
    "seasons",
    "to_float",
    "to_uint8",
]

DRAWN_SETS: dict[str, tuple[Callable[..., DrawnImages], ...]] = {
    "faces": (faces,),
    "bags": (partial(bags, domain="handbag"), partial(bags, domain="backpack")),
    "seasons": (partial(seasons, domain="summer"), partial(seasons, domain="winter")),
    "lenses": (partial(lenses, domain="phone"), partial(lenses, domain="dslr")),
}
"""The drawn data sets: name → a maker a domain, called as ``maker(count, image_size, seed=…,
channels=…, start=…)``.  Where there are two, image i of one is the true translation of image i of
the other.  A new one needs a line here and nothing else.
"""
