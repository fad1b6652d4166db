"""Both networks of the DCGAN for 64 pixels: the shape after every layer."""

from diagram import BLUE, ORANGE, canvas, column, shapes

from tinygan.models import dcgan

axes = canvas(6.4)
G, D = dcgan.generator(64), dcgan.discriminator(64)
made, judged = shapes(G, (200,)), shapes(D, (64, 64, 3))
column(axes, 12.5, 62, "generator G", made, ORANGE, "z: 200 numbers", "tanh: picture")
column(axes, 37.5, 62, "discriminator D", judged, BLUE, "picture: 64×64×3", "σ: probability")
