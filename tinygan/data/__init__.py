"""Pictures to learn from: folders of any images, drawn data sets, batches prepared ahead.

Everything here is plain NumPy on the host; who trains moves the batches.  Images are kept as
bytes ``(N, H, W, C)`` and leave as float32 in [−1, 1].
"""

from .batches import Batches, UnpairedBatches
from .drawing import DrawnImages
from .drawn_bags import BAG_CATEGORIES, bags
from .drawn_faces import FACE_CATEGORIES, faces
from .errors import DataError
from .folder import ImageFolder
from .images import load_image, save_grid, to_uint8

__all__ = [
    "BAG_CATEGORIES",
    "FACE_CATEGORIES",
    "Batches",
    "DataError",
    "DrawnImages",
    "ImageFolder",
    "UnpairedBatches",
    "bags",
    "faces",
    "load_image",
    "save_grid",
    "to_uint8",
]
