"""How far a mean over images would move with other images, and whether two models differ on the same ones."""

from math import fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DRAWS = 1 << 20
"""Drawn images held at a time; four arrays of 8 bytes each make 32 MB."""


def bootstrap_means(
    table: NDArray[Any], *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> NDArray[np.float64]:
    """Percentile bootstrap intervals of means over images (Efron 1979): images are drawn with replacement.

    Args:
        table: [images, M], one value an image and metric; all metrics see the same resamples.
        level: the intervals' confidence, in (0, 1).
        resamples: at least 1.
        seed: the same seed, count of images and resamples give the same draws.

    Returns:
        [M, 2], lower and upper bound. The mean lies within, if need be by widening; of one image, or of equal values,
        both bounds are the mean.

    Raises:
        ValueError: there is no image, a value is not finite, or level or resamples are out of range.
    """
    values = np.asarray(table, np.float64)
    if values.ndim != 2 or len(values) == 0 or not np.isfinite(values).all():
        raise ValueError(f"finite values [images, metrics] of at least one image are expected, not {values.shape}")
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(f"no interval at level {level} from {resamples} resamples")
    images = len(values)
    # About the first image, so that what equal values have in common costs no digits.
    centred = values - values[0]
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, values.shape[1]))
    block = max(1, _DRAWS // images)
    for first in range(0, resamples, block):
        size = min(block, resamples - first)
        drawn = rng.integers(0, images, (size, images))
        drawn += np.arange(size)[:, None] * images
        times = np.bincount(drawn.ravel(), minlength=size * images).reshape(size, images)
        means[first : first + size] = times.astype(np.float64) @ centred / images
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0) + values[0]
    # The mean differs in its last digit with the order of summing, and lies within whichever it was.
    exact = np.array([fsum(column) for column in values.T.tolist()]) / images
    used = [exact, values.mean(axis=0), np.ascontiguousarray(values.T).mean(axis=1)]
    return np.stack([np.min([low, *used], axis=0), np.max([high, *used], axis=0)], axis=1)


def sign_flip_p(differences: NDArray[Any], *, resamples: int = 10_000, seed: int = 0) -> float:
    """Two-sided sign-flip test that the mean difference of two models on the same images is 0.

    If the models are alike, each image's difference could as well have had the other sign (Fisher's randomization
    test of pairs, 1935). Of few images all flips are gone through, of more so many random ones.

    Args:
        differences: [images], one model's value minus the other's.
        resamples: random flips, at least 1.
        seed: the same seed and count of images give the same flips.

    Returns:
        The share of flips with a mean at least as far from 0; of random flips (1 + those) / (1 + resamples). In (0, 1];
        1 where the models never differ. It cannot be below 2 ** (1 - images).

    Raises:
        ValueError: there is no image, a value is not finite, or resamples are out of range.

    >>> sign_flip_p(np.zeros(5))
    1.0
    """
    values = np.asarray(differences, np.float64)
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all() or resamples < 1:
        raise ValueError(f"finite differences of at least one image are expected, not {values.shape}")
    images, whole = len(values), values.sum()
    # Flips that differ from the data only in rounding are as far from 0 as the data.
    least = abs(whole) - 1e-12 * np.abs(values).sum()
    if 2**images <= resamples:
        flips = np.arange(2**images)[:, None] >> np.arange(images) & 1
        return float(np.mean(np.abs(2 * (flips @ values) - whole) >= least))
    rng = np.random.default_rng(seed)
    as_far, block = 0, max(1, _DRAWS // images)
    for first in range(0, resamples, block):
        kept = rng.integers(0, 2, (min(block, resamples - first), images), dtype=np.int8)
        as_far += int(np.count_nonzero(np.abs(2 * (kept.astype(np.float64) @ values) - whole) >= least))
    return (1 + as_far) / (1 + resamples)
