"""Draws birds whose species shows only in details of their head and of their body.

Every bird is drawn in coordinates of its own: x runs towards its beak, y down, one unit is half the
length of its body. A pose puts it into the picture. Colours, pose and scenery are chosen afresh for
each picture; nothing but shapes and the pattern of feathers tells one species from another.
"""

import math
from collections.abc import Callable
from itertools import product

import cv2
import numpy as np
from bird_species import BEAKS, Species

# Pairs of a dark and a light colour (RGB) of about the same two brightnesses.
FEATHERS = [
    ((74, 54, 40), (222, 203, 172)),
    ((44, 62, 92), (196, 211, 226)),
    ((70, 72, 34), (226, 214, 142)),
    ((112, 46, 30), (236, 190, 150)),
    ((52, 52, 56), (212, 212, 208)),
    ((22, 74, 76), (188, 222, 206)),
    ((84, 40, 74), (226, 192, 214)),
]
SCENERY = [  # sky, ground, leaves
    ((196, 214, 220), (122, 138, 84), (74, 106, 48)),
    ((236, 220, 190), (150, 120, 84), (128, 112, 44)),
    ((168, 190, 166), (60, 86, 62), (50, 94, 60)),
    ((214, 204, 222), (110, 106, 130), (92, 84, 112)),
    ((206, 222, 208), (168, 150, 96), (150, 128, 46)),
]


def pattern(name: str, u: np.ndarray, v: np.ndarray, sharpness: float) -> np.ndarray:
    """Feathers: 0 where they are dark, 1 where they are light, one half on average.

    Args:
        name: The kind of pattern.
        u: Along the bird, in periods of the pattern.
        v: Across it.
        sharpness: How steep the edges are.
    """
    u, v = 2 * np.pi * u, 2 * np.pi * v
    field = {
        'bars': lambda: np.sin(u),
        'streaks': lambda: np.sin(v),
        'spots': lambda: (np.cos(u) + np.cos(v)) / 1.4,
        'checks': lambda: np.sin(u / 1.4) * np.sin(v / 1.4) * 1.6,
        'chevrons': lambda: np.sin(v + 2 * np.arcsin(np.sin(u / 2)) * 1.2),
        'waves': lambda: np.sin(v + 1.6 * np.sin(u / 2)),
    }[name]()
    return 1 / (1 + np.exp(-sharpness * field))


def ellipse(x: float, y: float, a: float, b: float, taper: float = 0) -> np.ndarray:
    """An ellipse, or an egg whose end at positive x is thicker."""
    t = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    return np.stack([x + a * np.cos(t), y + b * np.sin(t) * (1 + taper * np.cos(t))], 1)


class Bird:
    """One bird in its pose, with all of its outlines and parts in the picture's pixels."""

    def __init__(self, species: Species, width: int, height: int, rng: np.random.Generator) -> None:
        self.species = species
        self.facing = rng.choice([-1, 1])
        self.tilt = math.radians(rng.uniform(-38, 8))
        self.head = np.array([0.95 + rng.uniform(-0.08, 0.1), -0.62 + rng.uniform(-0.14, 0.1)])
        self.nod = rng.uniform(-0.35, 0.3)
        self.tail_angle = rng.uniform(-0.25, 0.35)
        self.scale, self.origin = 1.0, np.zeros(2)
        self._shape()
        legs = 0.62
        points = self.to_pixels(np.concatenate([*self.outlines.values()]))
        low, high = points.min(0), points.max(0) + (0, legs * 0.7)
        room = np.array([width, height]) * 0.94
        self.scale = min(*(room / (high - low)), rng.uniform(0.15, 0.23) * height)
        free = np.array([width, height]) - self.scale * (high - low)
        self.origin = rng.uniform(0.03, 0.97, 2) * free - self.scale * low
        self.legs = [self._leg(x, legs) for x in (-0.12, 0.12)]

    def _shape(self) -> None:
        radius = 0.4
        head = ellipse(*self.head, radius, radius * 0.95)
        body = ellipse(0, 0, 1, 0.56, 0.14)
        neck = cv2.convexHull(
            np.concatenate([head, body[np.abs(body[:, 0] - 0.45) < 0.35]]).astype(np.float32)
        )[:, 0]
        beak = np.array(BEAKS[self.species.beak]) * radius
        turn = _rotation(self.nod)
        beak = (beak + (radius * 0.88, 0.04)) @ turn.T + self.head
        end = {
            'square': [(-1.15, -0.2), (-1.15, 0.2)],
            'forked': [(-1.35, -0.3), (-0.9, 0), (-1.35, 0.3)],
            'pointed': [(-0.9, -0.2), (-1.6, 0), (-0.9, 0.2)],
            'round': [(-0.9, -0.3), (-1.15, -0.16), (-1.22, 0), (-1.15, 0.16), (-0.9, 0.3)],
        }[self.species.tail]
        tail = np.array([(0, -0.17), *end, (0, 0.2)]) @ _rotation(self.tail_angle).T + (-0.8, -0.03)
        wing = ellipse(-0.2, -0.08, 0.78, 0.36, 0.45)
        wing[:, 1] += 0.12 * np.clip(-wing[:, 0] - 0.2, 0, 1)
        self.outlines = dict(tail=tail, body=body, neck=neck, wing=wing, head=head, beak=beak)
        at_head = {
            'crown': (-0.03, -0.36), 'forehead': (0.27, -0.26), 'eye': (0.14, -0.07),
            'nape': (-0.35, -0.06), 'throat': (0.2, 0.37),
        }  # fmt: skip
        self.local_parts = {
            **{name: np.array(p) @ turn.T + self.head for name, p in at_head.items()},
            'beak': beak.mean(0), 'back': (-0.1, -0.48), 'belly': (0.1, 0.46),
            'breast': (0.78, 0.18), 'wing': (-0.25, -0.06), 'tail': tail.mean(0),
        }  # fmt: skip

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Own coordinates (n, 2) -> pixels."""
        turned = np.atleast_2d(points) @ _rotation(self.tilt).T
        return turned * (self.facing, 1) * self.scale + self.origin

    def own_coordinates(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels -> the bird's coordinates x, y."""
        x, y = (x - self.origin[0]) / self.scale * self.facing, (y - self.origin[1]) / self.scale
        c, s = math.cos(self.tilt), math.sin(self.tilt)
        return c * x + s * y, c * y - s * x

    def _leg(self, x: float, length: float) -> np.ndarray:
        """Hip and foot in pixels; legs hang down however the body is turned."""
        hip = self.to_pixels((x, 0.45))[0]
        lowest = self.to_pixels(self.outlines['body'])[:, 1].max()
        return np.array([hip, (hip[0] + 0.1 * self.scale, lowest + 0.32 * length * self.scale)])

    def parts(self) -> dict[str, tuple[float, float, int]]:
        """The 15 parts of CUB as x, y, visible. The eye and wing of the far side are not."""
        near, far = ('right', 'left') if self.facing == 1 else ('left', 'right')
        result = {}
        for name, point in self.local_parts.items():
            side = f'{near} {name}' if name in ('eye', 'wing') else name
            result[side] = (*self.to_pixels(point)[0], 1)
        for name in ('eye', 'wing'):
            result[f'{far} {name}'] = (0.0, 0.0, 0)
        for side, leg in zip((far, near), self.legs, strict=True):
            result[f'{side} leg'] = (*leg.mean(0), 1)
        return result

    def box(self) -> tuple[float, float, float, float]:
        """x, y, width and height around all of it."""
        points = [*(self.to_pixels(outline) for outline in self.outlines.values()), *self.legs]
        low, high = np.concatenate(points).min(0), np.concatenate(points).max(0)
        return (*low, *(high - low))


def _rotation(angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s], [s, c]])


def _paint(
    image: np.ndarray,
    outline: np.ndarray,
    color: np.ndarray | Callable[[np.ndarray, np.ndarray], np.ndarray],
    rounding: float = 0,
    context: np.ndarray | None = None,
) -> None:
    """Fills a polygon.

    Args:
        image: (H, W, 3), changed in place.
        outline: Corners (n, 2) in pixels.
        color: RGB, or a function that makes it from x and y, each (h, w, 1).
        rounding: How far from the edge, in pixels, something round looks flat; 0 for a flat thing.
        context: Another outline that the polygon is one body with.
    """
    height, width = image.shape[:2]
    corners = outline if context is None else np.concatenate([outline, context])
    x0, y0 = np.clip(np.floor(corners.min(0)).astype(int) - 2, 0, (width, height))
    x1, y1 = np.clip(np.ceil(corners.max(0)).astype(int) + 2, 0, (width, height))
    if x1 <= x0 or y1 <= y0:
        return

    def cover(points: np.ndarray) -> np.ndarray:
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        corners = np.round((points - (x0, y0) - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, 4)
        return mask[..., None].astype(np.float32) / 255

    mask = cover(outline)
    if callable(color):
        y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32) + 0.5
        color = color(x[..., None], y[..., None])
    if rounding:
        whole = mask if context is None else np.maximum(mask, cover(context))
        color = color * _volume(whole, rounding)
    window = image[y0:y1, x0:x1]
    window += mask * (color - window)


def _line(image: np.ndarray, points: np.ndarray, color: tuple, thickness: float) -> None:
    points = np.round((np.asarray(points) - 0.5) * 16).astype(np.int32)
    cv2.polylines(image, [points], False, color, max(1, round(thickness)), cv2.LINE_AA, 4)


def _volume(mask: np.ndarray, reach: float) -> np.ndarray:
    """Light from above on something round, (H, W, 1): darker at its edge, below more than above."""
    inside = (mask[..., 0] > 0.5).astype(np.uint8)
    edge = np.exp(-cv2.distanceTransform(inside, cv2.DIST_L2, 3) / reach)
    slope = cv2.Sobel(cv2.GaussianBlur(mask[..., 0], (0, 0), reach), cv2.CV_32F, 0, 1)
    return (1 - 0.3 * edge + np.clip(slope * reach * 0.35, -0.3, 0.25))[..., None]


def draw_scene(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """A background out of focus, and leaves and grass in front of it."""
    sky, ground, leaf = (np.array(c, np.float32) for c in SCENERY[rng.integers(len(SCENERY))])
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None] ** rng.uniform(0.7, 1.6)
    image = np.broadcast_to(sky * (1 - ramp) + ground * ramp, (height, width, 3)).copy()
    unit = height / 512
    for _ in range(rng.integers(30, 60)):
        centre = rng.uniform((0, 0), (width, height))
        color = image[int(centre[1]), int(centre[0])] * 0.5 + leaf * rng.uniform(0.2, 0.9)
        cv2.circle(image, centre.astype(int), int(rng.uniform(12, 60) * unit), color.tolist(), -1)
    image = cv2.GaussianBlur(image, (0, 0), 9 * unit)
    for _ in range(rng.integers(24, 44)):
        _draw_leaf(image, rng.uniform((0, 0), (width, height)), leaf, unit, rng)
    return image


def _draw_leaf(
    image: np.ndarray, at: np.ndarray, leaf: np.ndarray, unit: float, rng: np.random.Generator
) -> None:
    length = rng.uniform(18, 52) * unit
    turn = _rotation(rng.uniform(0, 2 * np.pi))
    t = np.linspace(0, 1, 16)
    half = np.stack([t, 0.22 * np.sin(np.pi * t**0.8)], 1)
    color = np.clip(leaf * rng.uniform(0.7, 1.5) + rng.uniform(-12, 12, 3), 0, 255)
    _paint(image, np.concatenate([half, half[::-1] * (1, -1)]) * length @ turn.T + at, color)
    vein = (color * 0.7).tolist()
    _line(image, np.array([(0, 0), (1, 0)]) * length @ turn.T + at, vein, 1.2 * unit)
    for x, side in product((0.3, 0.45, 0.6, 0.75), (-1, 1)):
        rib = np.array([(x, 0), (x + 0.12, side * 0.13)]) * length @ turn.T + at
        _line(image, rib, vein, unit)


def draw_bird(
    species: Species, width: int, height: int, detail: float, rng: np.random.Generator
) -> tuple[np.ndarray, Bird]:
    """A picture of a bird.

    Args:
        species: What it is.
        width: Pixels of the picture.
        height: Pixels of the picture.
        detail: One period of the feathers' pattern, as a part of ``height``.
        rng: Chooses all that does not tell the species.

    Returns:
        The picture, (height, width, 3) uint8 RGB, and the bird in it.
    """
    image = draw_scene(width, height, rng)
    bird = Bird(species, width, height, rng)
    unit, period = height / 512, detail * height / bird.scale
    feet = bird.legs[0][1], bird.legs[1][1]
    slope = rng.uniform(-0.12, 0.12)
    middle = (feet[0] + feet[1]) / 2 + (0, 4 * unit)
    branch = [middle + (x, slope * x + rng.uniform(-5, 5) * unit) for x in (-width, 0, width)]
    _line(image, branch, (78, 62, 48), 13 * unit)
    _line(image, np.array(branch) - (0, 3 * unit), (118, 98, 76), 4 * unit)
    horn = rng.choice([(58, 50, 44), (196, 142, 60), (142, 96, 80)]).tolist()
    for leg in bird.legs:
        _line(image, leg, [c * 0.8 for c in horn], 5 * unit)
        for toe in (-9, 1, 10):
            _line(
                image, [leg[1], leg[1] + (toe * unit, 7 * unit)], [c * 0.8 for c in horn], 3 * unit
            )

    for name, kind, colors in _plumage(species, rng):
        dark, light = (np.array(color, np.float32) for color in colors)

        def feathers(x, y, kind=kind, dark=dark, light=light):
            u, v = (c / period for c in bird.own_coordinates(x, y))
            return dark + (light - dark) * pattern(kind, u, v, sharpness=2.5)

        # The body goes over into the neck without an edge.
        context = bird.to_pixels(bird.outlines['body']) if name == 'neck' else None
        outline = bird.to_pixels(bird.outlines[name])
        _paint(image, outline, feathers, rounding=9 * unit, context=context)

    _paint(image, bird.to_pixels(bird.outlines['beak']), np.array(horn), rounding=4 * unit)
    eye = bird.to_pixels(bird.local_parts['eye'])[0]
    for radius, color in ((0.1, (236, 226, 196)), (0.08, (20, 16, 14))):
        radius *= bird.scale
        _paint(image, ellipse(*eye, radius, radius), np.array(color))
    glint = eye + np.array((0.03, -0.03)) * bird.scale
    _paint(image, ellipse(*glint, 0.025 * bird.scale, 0.025 * bird.scale), np.array((250,) * 3))
    image = image * rng.uniform(0.88, 1.1) + rng.normal(0, 3, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), bird


def _plumage(species: Species, rng: np.random.Generator) -> list[tuple[str, str, tuple]]:
    """Outlines from back to front, each with its pattern and its two colours."""
    body, wing, head = (FEATHERS[i] for i in rng.choice(len(FEATHERS), 3))
    return [
        ('tail', species.body_pattern, body),
        ('body', species.body_pattern, body),
        ('neck', species.body_pattern, body),
        ('wing', species.wing_pattern, wing),
        ('head', species.head_pattern, head),
    ]
