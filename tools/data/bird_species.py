"""Species of drawn birds: combinations of a head and a body."""

import math
from dataclasses import dataclass
from itertools import product

PATTERNS = ('bars', 'spots', 'streaks', 'chevrons', 'checks', 'waves')
BEAKS = {  # outline seen from the edge of the head, in units of its radius
    'Conebill': [(0, -0.4), (0.9, 0.05), (0, 0.4)],
    'Needlebill': [(0, -0.17), (1.9, 0.05), (0, 0.2)],
    'Hookbill': [(0, -0.4), (0.7, -0.35), (1.05, 0.0), (1.0, 0.55), (0.75, 0.15), (0, 0.4)],
    'Spoonbill': [(0, -0.17), (0.9, -0.1), (1.5, -0.3), (1.75, 0.05), (1.5, 0.4), (0, 0.2)],
}
WINGS = ('bars', 'streaks', 'spots')
TAILS = ('square', 'forked', 'pointed', 'round')
# Heads: a pattern and a beak. The first four are two patterns by two beaks, and so on, so that the
# outline alone, which shows at low resolution, never tells them. Bodies: patterns of body and wing,
# and a tail; the first six differ in nothing but the pattern of the body.
HEADS = sorted(
    product(range(len(PATTERNS)), range(len(BEAKS))), key=lambda h: (max(h) // 2, h[0] // 2, h)
)
BODIES = [(b, w, t) for t, w, b in product(range(len(TAILS)), range(len(WINGS)), range(6))]


@dataclass(frozen=True)
class Species:
    """What tells a species from another: half of it is on the head, half on the body."""

    head_pattern: str
    beak: str
    body_pattern: str
    wing_pattern: str
    tail: str

    @property
    def name(self) -> str:
        """As names of birds go: ``Spots_headed_bars_on_streaks_forked_tailed_Hookbill``."""
        body = f'{self.body_pattern}_on_{self.wing_pattern}_{self.tail}_tailed'
        return f'{self.head_pattern.capitalize()}_headed_{body}_{self.beak}'


def make_species(count: int) -> list[Species]:
    """``count`` species, so that heads and bodies are both shared by as many as possible.

    Raises:
        ValueError: If there are not that many.
    """
    if not 1 <= count <= len(HEADS) * len(BODIES):
        raise ValueError(f'species must be 1 to {len(HEADS) * len(BODIES)}, got {count}')
    num_heads = max(math.ceil(count / len(BODIES)), min(math.ceil(count**0.5), len(HEADS)))
    pairs = product(range(math.ceil(count / num_heads)), range(num_heads))
    return [
        Species(
            PATTERNS[HEADS[h][0]],
            list(BEAKS)[HEADS[h][1]],
            PATTERNS[BODIES[b][0]],
            WINGS[BODIES[b][1]],
            TAILS[BODIES[b][2]],
        )
        for b, h in pairs
    ][:count]
