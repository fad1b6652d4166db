"""Two of the CycleGAN's four networks for 128 pixels: the shape after every convolution."""

from diagram import BLUE, ORANGE, canvas, column, shapes

from tinygan.models import cyclegan

axes = canvas(7.9)
G, D = cyclegan.generator(residual_blocks=6), cyclegan.patch_discriminator(layers=2)
made, judged = shapes(G, (128, 128, 3)), shapes(D, (128, 128, 3))
column(axes, 12.5, 77, "G and F", made, ORANGE, "x: 128×128×3", "tanh: picture")
column(axes, 37.5, 77, "$D_X$ and $D_Y$", judged, BLUE, "y: 128×128×3", "a score a patch")
