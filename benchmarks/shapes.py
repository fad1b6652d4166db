"""The convolutions of both papers, one `Shape` for each that is different from the others."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Shape:
    """One convolution and the batch that goes into it.

    `size` is the height and width of the input, its padding by reflection included.
    """

    name: str
    in_channels: int
    out_channels: int
    kernel_size: int
    size: int
    stride: int = 1
    padding: int = 0
    output_padding: int = 0
    transposed: bool = False
    batch: int = 1
    input_gradient: bool = True  # the layer on the pictures (or the noise) needs none

    def task(self) -> dict:
        return {"task": "convolution", **asdict(self)}

    def __str__(self) -> str:
        kind = "transposed " if self.transposed else ""
        stride = f"/{self.stride}" if self.stride > 1 else ""
        return (
            f"{kind}{self.kernel_size}×{self.kernel_size}{stride}, "
            f"{self.in_channels}→{self.out_channels}, {self.size}×{self.size}, batch {self.batch}"
        )


def dcgan_shapes(batch: int = 128) -> list[Shape]:
    """Return the convolutions of the 64-pixel DCGAN of width 64."""
    up = {"kernel_size": 4, "stride": 2, "padding": 1, "transposed": True, "batch": batch}
    down = {"kernel_size": 4, "stride": 2, "padding": 1, "batch": batch}
    return [
        Shape("G1", 200, 512, 4, 1, transposed=True, batch=batch, input_gradient=False),
        Shape("G2", 512, 256, size=4, **up),
        Shape("G3", 256, 128, size=8, **up),
        Shape("G4", 128, 64, size=16, **up),
        Shape("G5", 64, 3, size=32, **up),
        Shape("D1", 3, 64, size=64, **down),
        Shape("D2", 64, 128, size=32, **down),
        Shape("D3", 128, 256, size=16, **down),
        Shape("D4", 256, 512, size=8, **down),
        Shape("D5", 512, 1, 4, 4, batch=batch),
    ]


def cyclegan_shapes(image_size: int = 128) -> list[Shape]:
    """Return the convolutions of the CycleGAN of width 64 at one image size, batch 1."""
    s = image_size
    up = {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1, "transposed": True}
    down = {"kernel_size": 4, "padding": 1}
    return [
        Shape("G first", 3, 64, 7, s + 6, input_gradient=False),
        Shape("G down 1", 64, 128, 3, s, stride=2, padding=1),
        Shape("G down 2", 128, 256, 3, s // 2, stride=2, padding=1),
        Shape("G residual", 256, 256, 3, s // 4 + 2),
        Shape("G up 1", 256, 128, size=s // 4, **up),
        Shape("G up 2", 128, 64, size=s // 2, **up),
        Shape("G last", 64, 3, 7, s + 6),
        Shape("D1", 3, 64, size=s, stride=2, **down),
        Shape("D2", 64, 128, size=s // 2, stride=2, **down),
        Shape("D3", 128, 256, size=s // 4, stride=2, **down),
        Shape("D4", 256, 512, size=s // 8, **down),
        Shape("D5", 512, 1, size=s // 8 - 1, **down),
    ]
