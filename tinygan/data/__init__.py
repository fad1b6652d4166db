"""Pictures to learn from: folders of any images, drawn data sets, batches prepared ahead.

Everything here is plain NumPy on the host; who trains moves the batches.  Images are kept as
bytes ``(N, H, W, C)`` and leave as float32 in [−1, 1].
"""

from tinygan.data.batches import Batches, UnpairedBatches
from tinygan.data.drawing import DrawnImages
from tinygan.data.drawn_bags import BAG_CATEGORIES, bags
from tinygan.data.drawn_faces import FACE_CATEGORIES, faces
from tinygan.data.folder import ImageFolder
from tinygan.data.images import load_image, save_grid, to_uint8
from tinygan.errors import DataError

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
