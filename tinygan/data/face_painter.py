"""How the drawn faces are painted, from the back to the front."""

from __future__ import annotations

import numpy as np

from tinygan.data.drawing import Canvas, box, ellipse, hex_colours, smooth_step

__all__ = ["COLOURS", "FacePainter"]

COLOURS = {
    "skin": hex_colours("#fbdcc8", "#f2c3a0", "#dfaa7e", "#c68a5c", "#96603c", "#643c28"),
    "hair_colour": hex_colours(
        "#26201f", "#553523", "#7c3a22", "#c4622c", "#e2ba6e", "#b3b1b3", "#e58aae", "#4a7fb5"
    ),
    "eye_colour": hex_colours("#5a3720", "#8c6a35", "#4f8453", "#3f7fc0", "#74868f"),
    "background": hex_colours(
        "#a9d3ee", "#aee0c8", "#fccfb0", "#cdbfea", "#ead9b5", "#f3b8c4", "#8fa3b8"
    ),
    "shirt": hex_colours(
        "#3d5a80", "#ee6c4d", "#f4f1ea", "#6a994e", "#5e548e", "#e0a030", "#2f3e46", "#b5495b"
    ),
}
EYE_LEVEL = 0.03  # v of the eyes, and of the mouth: coordinates about the middle of the head
MOUTH_LEVEL = 0.40
# the edge of the hair over the forehead: constant + slope |u| + cube |u|³ + ripple, in heads
_HAIRLINES = {
    "bald": (-1.5, 0, 0, 0),
    "cropped": (-0.60, 0, 0.62, 0),
    "parted": (-0.70, 0.36, 0.30, 0),
    "fringe": (-0.36, 0, 0.50, 0.015),
    "bob": (-0.40, 0, 0.90, 0.015),
    "long": (-0.78, 0.42, 0.75, 0),
    "curly": (-0.55, 0, 0.55, 0.035),
    "bun": (-0.66, 0, 0.55, 0),
}


class FacePainter:
    """Paints a slice of faces at once.

    Parameters
    ----------
    kinds : dict of str to (N,) int arrays
        The properties of `tinygan.data.FACE_CATEGORIES`.
    names : dict of str to tuple of str
        Their names.
    measures : dict of str to (N,) float32 arrays
    hidden : float32 array (8, N)
        More uniform numbers: jitter of the colours, the shirt, the parting, the strands.
    """

    def __init__(
        self,
        kinds: dict[str, np.ndarray],
        names: dict[str, tuple[str, ...]],
        measures: dict[str, np.ndarray],
        hidden: np.ndarray,
    ):
        self.names = names
        self.kinds = {name: index[:, None, None] for name, index in kinds.items()}
        self.m = {name: value[:, None, None] for name, value in measures.items()}
        jitter = 1 + 0.12 * (hidden[:4] - 0.5)
        shirt = (hidden[4] * len(COLOURS["shirt"])).astype(int)
        self.skin = _colour("skin", kinds["skin"], jitter[0])
        self.hair = _colour("hair_colour", kinds["hair_colour"], jitter[1])
        self.eye = _colour("eye_colour", kinds["eye_colour"], jitter[2])
        self.back = _colour("background", kinds["background"], jitter[3])
        self.shirt = _colour("shirt", shirt, jitter[1])
        self.side = np.where(hidden[5] < 0.5, -1, 1).astype(np.float32)[:, None, None]
        self.phase = (hidden[6] * 6.283)[:, None, None]

    def by(self, name: str, default: float = 0.0, **values: float) -> np.ndarray:
        """Return a number for each face by its kind of `name`, float32 (N, 1, 1)."""
        table = np.array([values.get(kind, default) for kind in self.names[name]], np.float32)
        return table[self.kinds[name]]

    def paint(self, page: Canvas) -> None:
        """Paint everything."""
        m = self.m
        self.background(page)
        x, y = m["shift_x"], m["shift_y"] + 0.08
        head = page.moved(x, y, m["tilt"], m["zoom"])
        hairline, strands = self.hairline(head.x), self.strands(head.x, head.y)
        self.hair_behind(head, strands)
        self.shoulders(page.moved(x * 0.6, y, 0 * x, m["zoom"]))
        self.head(head, hairline)
        turned = head.moved(m["turn"] * 0.045, 0, 0, 1)
        self.beard(turned.window(-0.75, 0.75, -0.05, 1))
        self.nose(turned.window(-0.45, 0.45, -0.25, 0.75))
        self.mouth(turned.window(-0.5, 0.5, 0.2, 1))
        self.eyes(turned.window(-0.75, 0.75, -0.4, 0.6))
        self.hair_in_front(head, hairline, strands)
        self.brows(turned.window(-0.75, 0.75, -0.55, 0.4))
        self.glasses(turned.window(-0.85, 0.85, -0.45, 0.65))

    # u and v are coordinates about the middle of the head, to the right and down

    def background(self, c: Canvas) -> None:
        glow = (c.x - self.m["light"] * 0.5) ** 2 + (c.y + 0.4) ** 2
        bright = 1.1 - 0.14 * glow
        for plane, value in zip(c.pixels, self.back, strict=True):
            np.multiply(value, bright, out=plane)

    def strands(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return the brightness of hair: strands fanning out from the crown, a shine across."""
        curly = self.by("hair_style", curly=1)
        curls = np.sin(u * 21 + self.phase) * np.sin(v * 21 - self.phase)
        waves = (1 - curly) * np.sin(u / (v + 1.6) * 45 + self.phase) + curly * 1.3 * curls
        shine = np.exp(-(((v + 0.52 - u * u * 0.5) / 0.13) ** 2))
        return 0.95 + 0.09 * waves + 0.22 * shine

    def hair_behind(self, c: Canvas, strands: np.ndarray) -> None:
        a, b, u, v = self.m["face_width"], self.m["face_height"], c.x, c.y
        # hair that falls to `length`
        length = self.by("hair_style", -0.1, bob=0.62, long=1.25)
        wide, top = a * 1.22, -b * 1.12
        half = (length - top) / 2
        falls = box(u / (1 + 0.10 * np.maximum(v, 0)), v - top - half, wide, half, wide * 0.9)
        cover = c.inside(falls) * self.by("hair_style", bob=1, long=1)
        # a ball of curls
        curls = 1 + 0.06 * np.sin(u * 15 + self.phase) * np.sin(v * 15 - self.phase)
        cover += c.inside(ellipse(u, v + 0.22, a * 1.42 * curls, b * 1.12 * curls)) * self.by(
            "hair_style", curly=1
        )
        bun = ellipse(u - self.side * 0.02, v + b * 1.16, 0.21, 0.17)
        cover += c.inside(bun) * self.by("hair_style", bun=1)
        dim = strands * 0.78
        c.paint(cover, [h * dim for h in self.hair])

    def shoulders(self, c: Canvas) -> None:
        x, y = c.x, c.y - self.m["face_height"]
        under_chin = smooth_step(y, 0.16, -0.06) * 0.3
        c.fill(box(x, y, 0.21, 0.42, 0.1), [s * (0.9 - under_chin) for s in self.skin])
        body, collar = ellipse(x, y - 0.68, 0.86, 0.5), ellipse(x, y - 0.10, 0.25, 0.17)
        round_off = 1 - 0.16 * x * x
        c.fill(np.maximum(body, -collar), [s * round_off for s in self.shirt])

    def outline(self, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the signed distance of the face, and its half-width at each height."""
        a, b = self.m["face_width"], self.m["face_height"]
        low = np.clip(v / b, 0, 1)
        width = a * (1 - self.m["jaw"] * low * low)
        return ellipse(u, v, width, b), width

    def head(self, c: Canvas, hairline: np.ndarray) -> None:
        m, u, v = self.m, c.x, c.y
        a, b = m["face_width"], m["face_height"]
        ears = ellipse(np.abs(u) - a * 0.98, v - 0.05, 0.075, 0.13)
        c.fill(ears, [s * 0.86 for s in self.skin])
        outline, width = self.outline(u, v)
        nx, ny = u / width, v / b
        nz = np.sqrt(np.maximum(1.15 - nx * nx - ny * ny, 0))
        light = 0.63 + 0.40 * nz + 0.10 * nx * m["light"] - 0.07 * ny
        x, y = np.abs(u - m["turn"] * 0.045) - m["eye_distance"], v - EYE_LEVEL
        light -= 0.11 * np.exp(-(x * x * 45 + y * y * 70))  # the sockets of the eyes
        light -= 0.10 * smooth_step(v - hairline, 0.16, 0.0)  # the shadow of the hair
        x, y = x - 0.03, v - 0.24
        blush = np.exp(-(x * x * 60 + y * y * 75)) * 0.16
        red, green, blue = (s * light for s in self.skin)
        c.fill(outline, [red, green * (1 - blush), blue * (1 - blush)])

    def hairline(self, u: np.ndarray) -> np.ndarray:
        """Return v of the edge of the hair over the forehead."""
        constant, slope, cube, ripple = (
            self.by("hair_style", **{style: line[k] for style, line in _HAIRLINES.items()})
            for k in range(4)
        )
        s = np.abs(u / self.m["face_width"])
        from_parting = np.abs(u - self.side * self.by("hair_style", parted=0.21)) / 0.5
        line = constant + slope * from_parting + cube * s * s * s
        line += ripple * np.sin(u * 25 + self.phase)
        return line * self.m["face_height"]

    def hair_in_front(self, c: Canvas, hairline: np.ndarray, strands: np.ndarray) -> None:
        u, v = c.x, c.y
        volume = self.by("hair_style", 1.10, cropped=1.05, curly=1.12, bun=1.04)
        cap = ellipse(u, v + 0.01, self.m["face_width"] * volume, self.m["face_height"] * volume)
        ends = self.by("hair_style", 0.02, bob=0.55, long=0.9)
        shape = np.maximum(np.maximum(cap, (v - hairline) * 0.75), v - ends)
        c.paint(
            c.inside(shape) * self.by("hair_style", 1, bald=0), [h * strands for h in self.hair]
        )

    def beard(self, c: Canvas) -> None:
        u, v = c.x, c.y
        outline = self.outline(u + self.m["turn"] * 0.045, v)[0] - 0.02
        # the lower face but for the mouth; the chin; the upper lip
        full = np.maximum(outline, 0.30 - 1.3 * u * u - v)
        chin = np.maximum(outline, ellipse(u, v - 0.52, 0.19, 0.2))
        mouth = ellipse(u, v - MOUTH_LEVEL - 0.01, 0.16, 0.075)
        lip = ellipse(u, v - 0.31 - np.abs(u) * 0.18, 0.2, 0.048)
        full, chin = (np.minimum(np.maximum(part, -mouth), lip) for part in (full, chin))
        cover = c.inside(full, 0.03) * self.by("beard", stubble=0.32, full=0.93)
        cover += c.inside(chin, 0.03) * self.by("beard", goatee=0.93)
        cover += c.inside(lip, 0.02) * self.by("beard", moustache=0.95)
        waves = 0.86 + 0.06 * np.sin(u * 60 + v * 20 + self.phase)
        c.paint(cover, [h * waves for h in self.hair])

    def nose(self, c: Canvas) -> None:
        m, u, v = self.m, c.x, c.y
        tip, wide = EYE_LEVEL + 0.03 + m["nose_length"], m["nose_width"]
        away = u * np.where(m["light"] < 0, 1, -1).astype(np.float32)  # from the light
        flank = np.exp(-(((away - wide * 0.55) / (wide * 0.45)) ** 2))
        flank *= smooth_step(v, -0.05, tip) * (v < tip)
        under = np.exp(-((u / wide) ** 4) - ((v - tip - 0.015) / 0.028) ** 2)
        shine = np.exp(-((u / 0.035) ** 2) - ((v - tip + 0.05) / 0.06) ** 2)
        c.shade(1 - 0.13 * flank - 0.30 * under + 0.10 * shine)

    def mouth(self, c: Canvas) -> None:
        wide = self.m["mouth_width"]
        red = [
            s * f + o
            for s, f, o in zip(self.skin, (0.72, 0.42, 0.44), (0.1, 0.03, 0.05), strict=True)
        ]
        dark = [r * 0.45 for r in red]
        bend = self.by("expression", neutral=0.012, smile=0.065, grin=0.075, frown=-0.055)
        u, t = c.x, c.x / wide
        v = c.y - MOUTH_LEVEL + bend * (t * t - 0.45)  # about the line between the lips
        ends, swell = (np.abs(t) - 1) * wide, np.sqrt(np.clip(1 - t * t, 0, 1))
        # closed lips
        closed = self.by("expression", 1, grin=0, surprised=0)
        c.paint(c.inside(np.maximum(np.abs(v) - 0.042 * swell, ends)) * closed, red)
        c.paint(c.inside(np.maximum(np.abs(v) - 0.011, ends)) * closed * 0.8, dark)
        # a grin: lips, the inside, teeth
        grin, depth = self.by("expression", grin=1), 0.1 * swell
        opening = np.maximum(-v - 0.005, v - depth)
        c.paint(c.inside(np.maximum(opening - 0.026, ends)) * grin, red)
        c.paint(c.inside(np.maximum(opening, ends + 0.02)) * grin, dark)
        teeth = np.maximum(np.maximum(opening + 0.004, v - depth * 0.65), ends + 0.025)
        white = 0.97 - 0.12 * t * t
        c.paint(c.inside(teeth) * grin, [white, white, white * 0.97])
        # a round mouth
        surprised = self.by("expression", surprised=1)
        hole = ellipse(u, c.y - MOUTH_LEVEL - 0.02, wide * 0.42, 0.085)
        c.paint(c.inside(hole - 0.025) * surprised, red)
        c.paint(c.inside(hole) * surprised, dark)

    def eyes(self, c: Canvas) -> None:
        m, right = self.m, np.sign(c.x)
        x = np.abs(c.x) - m["eye_distance"]  # both eyes at once, from the middle of each
        y = c.y - EYE_LEVEL
        size, look = m["eye_size"], m["gaze"] * 0.028
        wide, high = (
            0.118 * size,
            0.076 * size * self.by("expression", 1, grin=0.85, surprised=1.25),
        )
        t = x / wide
        arch = high * np.clip(1 - t * t, 0, 1)
        ends = np.abs(x) - wide
        ball = c.inside(np.maximum(np.maximum(-arch - y, y - 0.8 * arch), ends))
        c.paint(ball, [0.97, 0.965, 0.955])
        radius, from_iris = 0.07 * size, x * right - look
        iris = np.sqrt(from_iris * from_iris + y * y)
        glow = 1.0 + 0.35 * np.clip(y / radius, -1, 1)
        c.paint(c.inside(iris - radius) * ball, [e * glow for e in self.eye])
        c.paint(c.inside(iris - radius * 0.52) * ball, [0.05, 0.04, 0.05])
        spark = np.sqrt((from_iris + 0.024) ** 2 + (y + 0.027) ** 2)
        c.paint(c.inside(spark - 0.019) * ball, [1.0, 1.0, 1.0])
        lashes = np.maximum(np.abs(y + arch + 0.006) - 0.014, ends - 0.005)
        c.paint(c.inside(lashes) * 0.85, [s * 0.22 for s in self.skin])

    def brows(self, c: Canvas) -> None:
        x = np.abs(c.x) - self.m["eye_distance"] * 1.02
        t = x / 0.15
        level = EYE_LEVEL - 0.185 - self.by("expression", surprised=0.06, frown=-0.02)
        # arched; raised outside, by the angle; a frown draws the inner ends down
        rise = self.m["brow_angle"] + self.by("expression", frown=0.3)
        v = c.y - level + x * rise - 0.035 * t * t
        thick = self.m["brow_thickness"] * (1.1 - 0.35 * t)
        shape = np.maximum(np.abs(v) - thick, np.abs(x) - 0.15)
        c.paint(c.inside(shape, 0.012) * 0.88, [h * 0.72 for h in self.hair])

    def glasses(self, c: Canvas) -> None:
        x = np.abs(c.x) - self.m["eye_distance"] * 1.04
        y = c.y - EYE_LEVEL - 0.015
        is_round = self.by("glasses", round=1)
        lens = is_round * (np.sqrt(x * x + y * y) - 0.178) + (1 - is_round) * box(
            x, y, 0.188, 0.145, 0.05
        )
        bridge = np.maximum(np.abs(y + 0.03), np.abs(c.x) - 0.07)
        arms = np.maximum(
            np.maximum(np.abs(y + 0.05), 0.19 - x), np.abs(c.x) - self.m["face_width"]
        )
        frame = np.minimum(np.minimum(np.abs(lens), bridge), arms) - 0.016
        sheen = self.by("glasses", 1, dark=0.12) + self.by("glasses", dark=1) * np.clip(-y, 0, 1)
        tint = self.by("glasses", 0.08, none=0, dark=0.9)
        c.paint(c.inside(lens) * tint, [sheen * 0.9, sheen * 0.95, sheen])
        c.paint(c.inside(frame) * self.by("glasses", 1, none=0), [0.13, 0.11, 0.13])


def _colour(name: str, index: np.ndarray, jitter: np.ndarray) -> list[np.ndarray]:
    return [plane[:, None, None] for plane in (COLOURS[name][index] * jitter[:, None]).T]
