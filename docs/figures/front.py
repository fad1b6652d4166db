"""The data sets that come with tinygan."""

import matplotlib.pyplot as plt
import numpy as np

from tinygan.data import bags, faces

rows = [
    faces(12, 64, seed=5).images,
    faces(12, 64, seed=5, start=12).images,
    bags(12, 64, seed=4).images,
    bags(12, 64, seed=4, domain="backpack").images,
]
figure = plt.figure(figsize=(9, 3))
axes = figure.add_axes((0, 0, 1, 1))
axes.imshow(np.concatenate([np.concatenate(list(row), axis=1) for row in rows]))
axes.set_axis_off()
