"""Pictures to learn from: folders of any images, drawn data sets, batches prepared ahead.

Everything here is plain NumPy on the host; who trains moves the batches.  Images are kept as
bytes ``(N, H, W, C)`` and leave as float32 in [−1, 1].
"""

from tinygan.data.conversion import to_float, to_uint8
from tinygan.data.drawing import DrawnImages
from tinygan.data.drawn_bags import BAG_CATEGORIES, bags
from tinygan.data.drawn_faces import FACE_CATEGORIES, faces
from tinygan.data.fingerprint import checksum, is_same_data
from tinygan.data.folder import ImageFolder
from tinygan.data.images import load_image, save_grid
from tinygan.data.prefetcher import Prefetcher, UnpairedPrefetcher
from tinygan.errors import DataError

__all__ = [
    "BAG_CATEGORIES",
    "FACE_CATEGORIES",
    "DataError",
    "DrawnImages",
    "ImageFolder",
    "Prefetcher",
    "UnpairedPrefetcher",
    "bags",
    "checksum",
    "faces",
    "is_same_data",
    "load_image",
    "save_grid",
    "to_float",
    "to_uint8",
]
