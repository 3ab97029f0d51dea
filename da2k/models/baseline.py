"""Floors that need no weights: four cues to depth that have nothing to do with learning.

A network that does not beat them has learnt no more than where depth usually lies in a photograph.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from da2k.depth import DepthKind, DepthMap
from da2k.errors import BadModel, did_you_mean
from da2k.images import Photo
from da2k.models.options import Options, parse_options
from da2k.results import ModelRecord

LONGEST_SIDE = 512
"""Every cue works on a copy no larger than this, and its map has the size of that copy."""

Values = NDArray[np.float64]


def load(target: str, options: Mapping[str, str], device: str) -> "Baseline":  # noqa: ARG001
    """The baseline of this cue: `row`, `centre`, `haze` or `sharpness`.

    Args:
        target: the cue.
        options: must be empty; a baseline has none.
        device: ignored; everything runs on the CPU.

    Raises:
        BadModel: there is no such cue, or an option is given.
    """
    spec = f"baseline:{target}"
    if target not in CUES:
        raise BadModel(f'unknown baseline "{target}"; {did_you_mean(target, CUES)}')
    parse_options(Options, options, spec)
    cue = CUES[target]
    record = ModelRecord(name=spec, spec=spec, kind=cue.kind, parameters=0, preprocessing=cue.preprocessing)
    return Baseline(cue, record)


@dataclass(frozen=True)
class Cue:
    """One cue: how a photo becomes a map, what the map means, and one line about it."""

    values: Callable[[Photo], Values]
    kind: DepthKind
    preprocessing: str


@dataclass(frozen=True)
class Baseline:
    """A cue as a model. Deterministic; every value is finite, for any photo."""

    cue: Cue
    record: ModelRecord

    def predict(self, images: Sequence[Photo]) -> list[DepthMap]:
        """One map a photo, at the working size: the photo's aspect, at most LONGEST_SIDE."""
        return [DepthMap(self.cue.values(image).astype(np.float32), self.cue.kind) for image in images]


def _row(image: Photo) -> Values:
    """Lower is nearer: a ramp of whole numbers, so that only pixels of one row are equal."""
    height, width = _working_size(image.size)
    return np.repeat(np.arange(height, dtype=np.float64)[:, None], width, axis=1)


def _centre(image: Photo) -> Values:
    """Distance from the picture's centre, in pixels of the photo."""
    down, across = (
        (2 * np.arange(side) - (side - 1)) * ((whole - 1) / max(side - 1, 1) / 2)
        for side, whole in zip(_working_size(image.size), image.size, strict=True)
    )
    return np.asarray(np.hypot(down[:, None], across[None, :]))


def _haze(image: Photo) -> Values:
    """Depth from haze by the dark channel prior (He, Sun and Tang, CVPR 2009 and TPAMI 2011).

    A haze-free patch has a channel near zero somewhere, so the patch's minimum over the channels measures the
    air light in front of it: I = J t + A (1 - t), t = 1 - 0.95 min(I / A), depth = -ln t up to a factor. A is the
    brightest pixel among the 0.1 % with the brightest dark channel. The patch keeps the paper's share of the
    picture (15 of 600 pixels). The transmission is refined by a guided filter (He, Sun and Tang, ECCV 2010) with
    the grey picture as guide, instead of the paper's matting Laplacian.
    """
    from scipy.ndimage import minimum_filter

    colour = _shrunk(image) / 255
    patch = 2 * round(max(colour.shape[:2]) / 80) + 1
    dark = minimum_filter(colour.min(axis=2), patch, mode="nearest")
    haziest = np.argsort(dark, axis=None, kind="stable")[-max(1, dark.size // 1000) :]
    candidates = colour.reshape(-1, 3)[haziest]
    air = np.maximum(candidates[candidates.sum(axis=1).argmax()], 1 / 255)
    rough = 1 - 0.95 * minimum_filter((colour / air).min(axis=2), patch, mode="nearest")
    transmission = _guided(rough, guide=colour.mean(axis=2), window=4 * patch + 1)
    return -np.log(np.clip(transmission, 0.05, 0.999))


def _sharpness(image: Photo) -> Values:
    """Sharper is nearer: root mean square of the Laplacian of the grey picture, in a Gaussian window."""
    from scipy.ndimage import gaussian_filter, laplace

    grey = _shrunk(image).mean(axis=2)
    energy: Values = gaussian_filter(laplace(grey, mode="nearest") ** 2, max(grey.shape) / 50, mode="nearest")
    return np.sqrt(energy)


def _guided(values: Values, guide: Values, window: int, smoothness: float = 1e-3) -> Values:
    """`values` smoothed, but with the edges of `guide`: in each window a linear function of the guide."""
    from scipy.ndimage import uniform_filter

    def mean(of: Values) -> Values:
        averaged: Values = uniform_filter(of, window, mode="nearest")
        return averaged

    mean_guide, mean_values = mean(guide), mean(values)
    variance = np.maximum(mean(guide * guide) - mean_guide**2, 0)
    slope = (mean(guide * values) - mean_guide * mean_values) / (variance + smoothness)
    return mean(slope) * guide + mean(mean_values - slope * mean_guide)


def _working_size(size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the working copy. A side of two or more pixels never becomes one."""
    share = min(1.0, LONGEST_SIDE / max(size))
    height, width = (max(min(side, 2), round(side * share)) for side in size)
    return height, width


def _shrunk(image: Photo) -> Values:
    """The photo at the working size, RGB, 0 to 255, by area averaging."""
    height, width = _working_size(image.size)
    picture = PillowImage.fromarray(image.pixels)
    return np.asarray(picture.resize((width, height), PillowImage.Resampling.BOX), dtype=np.float64)


_COPY = f"area-averaged to a longest side of at most {LONGEST_SIDE}"

CUES: Mapping[str, Cue] = {
    "row": Cue(_row, DepthKind.AFFINE_DISPARITY, "none: lower in the picture is nearer"),
    "centre": Cue(_centre, DepthKind.AFFINE_DEPTH, "none: nearer the picture's centre is nearer"),
    "haze": Cue(_haze, DepthKind.SCALE_INVARIANT_DEPTH, f"{_COPY}; dark channel prior: hazier is farther"),
    "sharpness": Cue(_sharpness, DepthKind.AFFINE_DISPARITY, f"{_COPY}; sharper is nearer"),
}
"""The cues by name."""
