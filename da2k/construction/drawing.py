"""Drawing pairs from one image's key points, a pure function of what was read of the image and of the settings.

What is drawn follows from the seed, the photograph's bytes, its key points and their readings: not from other images,
nor from the image's name, nor from the order of work.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from da2k.construction.queue import DrawnPair
from da2k.construction.settings import SelectionSettings, digest
from da2k.construction.voting import Floats, cast_votes, compared_ratio, outcomes
from da2k.depth import DepthKind
from da2k.pairs import Point, pair_id

METHOD = 1
"""Raised when the same readings and settings would give other pairs."""

_LOT = 128
_SEARCH = 2**18
"""Pairs drawn by chance before the rest is listed: few are left then, or few are far enough apart."""
_LISTED = 2**22
"""Of more pairs than this (2,900 key points) the rest is not listed, so that memory stays bounded."""


@dataclass(frozen=True, eq=False)
class ReadImage:
    """An image with all that its pairs are drawn from.

    Attributes:
        image: `images/<scenario>/<file>`.
        sha256: of the photograph's file.
        size: (height, width).
        points: int [N, 2], the key points, (row, col).
        experts: of each expert, in the order of the settings, kind and float64 [N] values at the key points of
            every way it was run; the first way is the expert itself.
    """

    image: str
    sha256: str
    size: tuple[int, int]
    points: NDArray[np.integer]
    experts: Sequence[Sequence[tuple[DepthKind, Floats]]]


def draw_pairs(read: ReadImage, settings: SelectionSettings, quota: int, seed: int) -> list[DrawnPair]:
    """Draw pairs of an image's key points, at random, until `quota` of them are disputed.

    It ends earlier after `settings.attempts` pairs, or when the image has no more. Key points nearer to each other
    than the minimum distance make no pair; with one pair a mask, nor does a key point of a disputed pair drawn before.
    Key points at which an expert has no finite value are left out.

    Args:
        read: the image.
        settings: everything else there is to choose.
        quota: disputed pairs wanted.
        seed: of the workspace.

    Returns:
        All pairs drawn, in the order drawn, at most `quota` of them disputed; queued, if disputed or audited.
    """
    points, experts = _usable(read)
    bits = np.random.PCG64(int(digest(seed, read.sha256), 16))
    wanted = _Wanted(quota, settings.attempts, settings.one_pair_a_mask)
    drawn: list[DrawnPair] = []
    for first, second in _lots(points, settings.min_distance * max(read.size), bits):
        cast = cast_votes(experts, first, second)
        ratios = compared_ratio(cast, settings.ratio_rule)
        found = outcomes(cast, ratios, settings.ratio)
        taken = wanted.take(first, second, found == "disputed")
        for end1, end2, outcome, votes, ratio in zip(
            points[first[taken]].tolist(),
            points[second[taken]].tolist(),
            found[taken].tolist(),
            cast.votes[:, taken].T.tolist(),
            ratios[taken].tolist(),
            strict=True,
        ):
            ends = Point(*end1), Point(*end2)
            audited = outcome == "unanimous" and is_audited(seed, read.sha256, *ends, settings.audit)
            key = pair_id(read.image, *ends)
            queued = audited or outcome == "disputed"
            drawn.append(DrawnPair(key, read.image, *ends, outcome, tuple(votes), ratio, audited, queued))
        if wanted.nothing:
            break
    return drawn


def is_audited(seed: int, sha256: str, point1: Point, point2: Point, share: float) -> bool:
    """Whether a unanimous pair is in a sample of this share; a larger share keeps those of a smaller one.

    >>> is_audited(0, "ab", Point(1, 2), Point(3, 4), 0.0), is_audited(0, "ab", Point(1, 2), Point(3, 4), 1.0)
    (False, True)
    """
    return chance(seed, sha256, point1, point2) < share


def chance(seed: int, sha256: str, point1: Point, point2: Point) -> float:
    """A number that belongs to a pair of a photograph, as if drawn evenly from [0, 1)."""
    name = f"{seed} {sha256} {point1.row},{point1.col} {point2.row},{point2.col}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) / 2**48


@dataclass
class _Wanted:
    """What is still wanted of an image: disputed pairs, and pairs at all."""

    disputed: int
    attempts: int
    one_pair_a_mask: bool
    spent: set[int] = field(default_factory=set)

    @property
    def nothing(self) -> bool:
        return self.disputed == 0 or self.attempts == 0

    def take(self, first: NDArray[np.intp], second: NDArray[np.intp], disputed: NDArray[np.bool_]) -> list[int]:
        """The indices of those pairs of a lot that are drawn."""
        taken: list[int] = []
        for index, (one, other, dispute) in enumerate(
            zip(first.tolist(), second.tolist(), disputed.tolist(), strict=True)
        ):
            if self.nothing:
                break
            if one in self.spent or other in self.spent:
                continue
            taken.append(index)
            self.attempts -= 1
            if dispute:
                self.disputed -= 1
                if self.one_pair_a_mask:
                    self.spent.update((one, other))
        return taken


def _usable(read: ReadImage) -> tuple[NDArray[np.int64], list[list[tuple[DepthKind, Floats]]]]:
    """The different key points at which every expert has a finite value, sorted, and the experts' values there."""
    points = np.asarray(read.points, np.int64).reshape(-1, 2)
    finite = np.ones(len(points), bool)
    for ways in read.experts:
        for _, values in ways:
            finite &= np.isfinite(values)
    kept = np.flatnonzero(finite)
    _, once = np.unique(points[kept, 0] << 32 | points[kept, 1], return_index=True)
    chosen = kept[once]
    return points[chosen], [[(kind, values[chosen]) for kind, values in ways] for ways in read.experts]


def _lots(
    points: NDArray[np.int64], least: float, bits: np.random.PCG64
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """All pairs of points at least `least` pixels apart, once each, in random order: indices, the first the smaller.

    Of more than _LISTED pairs, only those among the first _SEARCH drawn.
    Only raw bits are drawn, since NumPy promises that these stay the same from one version to the next.
    """
    count = len(points)
    total = count * (count - 1) // 2
    seen: set[int] = set()
    while len(seen) < min(total // 2, _SEARCH):
        raw = bits.random_raw(_LOT)
        one = (raw >> 32) % count
        other = (raw & 0xFFFFFFFF) % count
        codes = np.minimum(one, other) * count + np.maximum(one, other)
        new = [code for code in dict.fromkeys(codes[one != other].tolist()) if code not in seen]
        seen.update(new)
        yield _apart(np.array(new, np.int64), points, least)
    if total > _LISTED:
        return
    rest = [code for row in range(count - 1) for code in _row_of_codes(row, points, least) if code not in seen]
    shuffled = np.array(rest, np.int64)[np.argsort(bits.random_raw(len(rest)), kind="stable")]
    for begin in range(0, len(shuffled), _LOT):
        lot = shuffled[begin : begin + _LOT]
        yield lot // count, lot % count


def _row_of_codes(row: int, points: NDArray[np.int64], least: float) -> list[int]:
    """The codes `row * count + other` of a point with every later point that is far enough from it."""
    far = _far(points[row], points[row + 1 :], least)
    codes: list[int] = (row * len(points) + row + 1 + np.flatnonzero(far)).tolist()
    return codes


def _apart(
    codes: NDArray[np.int64], points: NDArray[np.int64], least: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    first, second = codes // len(points), codes % len(points)
    far = _far(points[first], points[second], least)
    return first[far], second[far]


def _far(a: NDArray[np.int64], b: NDArray[np.int64], least: float) -> NDArray[np.bool_]:
    """Whether points are at least so many pixels apart."""
    far: NDArray[np.bool_] = ((a - b) ** 2).sum(axis=-1) >= least**2
    return far
