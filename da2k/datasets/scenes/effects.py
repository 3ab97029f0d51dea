"""What happens between the light and the film: fog, water, blur, ink, rain and night. Each makes an `Effect`."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from da2k.datasets.scenes.looks import Array, Colour, noise
from da2k.datasets.scenes.render import SAMPLES, Effect, Frame


def air(colour: Colour, density: Sequence[float], sky: float = np.inf) -> Effect:
    """Fog or water: over a distance s only exp(-density s) of the light is left, and the air's own colour added.

    Args:
        colour: of an infinitely thick layer.
        density: for red, green and blue, in 1/m.
        sky: the distance at which the sky stands, in metres; infinite hides it.
    """

    def effect(frame: Frame, _: np.random.Generator) -> Array:
        distance = np.minimum(frame.distance, sky)[..., None]
        left = np.exp(-np.asarray(density) * distance)
        return np.asarray(frame.colour * left + np.asarray(colour) * (1 - left))

    return effect


def defocus(focus: float, strength: float) -> Effect:
    """A lens with a wide aperture, focused at `focus` metres: the blur grows with |1/focus - 1/depth|.

    `strength` is the blur of the infinitely far, in pixels of the picture. Only what is behind the focus blurs.
    """

    def effect(frame: Frame, _: np.random.Generator) -> Array:
        wanted = np.clip(1 - focus / frame.depth, 0, 1) * strength
        levels = np.linspace(0, strength, 5)
        result = frame.colour
        for low, high in pairwise(levels):
            # What lies in front must not bleed into what is behind it.
            behind = (wanted >= low).astype(np.float64)[..., None]
            blurred = _blurred(frame.colour * behind, high) / (_blurred(behind, high) + 1e-9)
            share = np.clip((wanted - low) / (high - low), 0, 1)[..., None]
            result = result + share * (blurred - result)
        return result

    return effect


def bloom(threshold: float, radius: float, strength: float) -> Effect:
    """Bright lights spill over their surroundings; `radius` in pixels of the picture."""

    def effect(frame: Frame, _: np.random.Generator) -> Array:
        bright = np.minimum(np.maximum(frame.colour - threshold, 0), 8)
        return np.asarray(frame.colour + strength * (_blurred(bright, radius) + _blurred(bright, 4 * radius)))

    return effect


def _blurred(values: Array, radius: float) -> Array:
    """A Gaussian blur of a frame's values [h, w, C]; `radius` in pixels of the picture."""
    from scipy.ndimage import gaussian_filter

    height, width, channels = values.shape
    cells = values.reshape(height // SAMPLES, SAMPLES, width // SAMPLES, SAMPLES, channels).mean(axis=(1, 3))
    blurred: Array = gaussian_filter(cells, (radius, radius, 0), truncate=3)
    return blurred.repeat(SAMPLES, axis=0).repeat(SAMPLES, axis=1)


def ink(width: int = 1, steps: int = 3) -> Effect:
    """A drawing: light in few steps, and dark lines where the solid, its facing or its depth changes."""
    from scipy.ndimage import maximum_filter, minimum_filter

    def effect(frame: Frame, _: np.random.Generator) -> Array:
        def changes(values: Array, limit: float) -> NDArray[np.bool_]:
            size = 2 * width + 1
            return np.asarray(maximum_filter(values, size) - minimum_filter(values, size) > limit)

        near = np.log(np.minimum(frame.depth, 1e3))
        lines = changes(frame.solid.astype(np.float64), 0.5) | changes(near, 0.25)
        for axis in range(3):
            lines |= changes(frame.normals[..., axis], 0.9)
        brightest = frame.colour.max(axis=2, keepdims=True) + 1e-9
        level = np.ceil(np.sqrt(np.minimum(brightest, 1)) * steps) / steps
        flat = frame.colour / brightest * level**2
        return np.where(lines[..., None], 0.012, np.where((frame.solid < 0)[..., None], frame.colour, flat))

    return effect


def rain(amount: float, brightness: float) -> Effect:
    """Streaks of falling rain, and the noise of a film that lacks light."""
    from scipy.ndimage import gaussian_filter1d

    def effect(frame: Frame, rng: np.random.Generator) -> Array:
        height, width = frame.depth.shape
        # Streaks fall along columns of a sheared picture, so that they slant.
        shear = height // 5
        drops = (rng.random((height, width + shear)) < amount).astype(np.float64)
        streaks = gaussian_filter1d(gaussian_filter1d(drops, 9, axis=0), 0.6, axis=1) * 22
        rows, cols = np.indices((height, width))
        streaks = streaks[rows, cols + rows * shear // height]
        return np.asarray(frame.colour + brightness * np.minimum(streaks, 1)[..., None] * np.array([0.8, 0.9, 1.0]))

    return effect


def grain(strength: float) -> Effect:
    """The noise of a sensor: each pixel's light varies, more where there is more of it."""

    def effect(frame: Frame, rng: np.random.Generator) -> Array:
        height, width, _ = frame.colour.shape
        speckle = rng.standard_normal((height // SAMPLES, width // SAMPLES, 3)).repeat(SAMPLES, 0).repeat(SAMPLES, 1)
        return np.asarray(frame.colour + strength * np.sqrt(np.maximum(frame.colour, 0) + 0.002) * speckle)

    return effect


def shafts(colour: Colour, slant: float) -> Effect:
    """Beams of sunlight that reach down through water."""

    def effect(frame: Frame, _: np.random.Generator) -> Array:
        rows, cols = np.indices(frame.depth.shape) / frame.depth.shape[0]
        beams = (
            np.clip(
                noise(np.stack([cols + slant * rows, 0.02 * rows], axis=-1).reshape(-1, 2), 0.45).reshape(rows.shape)
                - 0.5,
                0,
                1,
            )
            * 3
        )
        fade = np.clip(1 - rows * 1.1, 0, 1) * (1 - np.exp(-np.minimum(frame.distance, 30) / 6))
        return np.asarray(frame.colour + (beams * fade)[..., None] * np.asarray(colour))

    return effect


def vignette(strength: float) -> Effect:
    """Darker corners."""

    def effect(frame: Frame, _: np.random.Generator) -> Array:
        height, width = frame.depth.shape
        down, across = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
        return np.asarray(frame.colour * (1 - strength * (down**2 + across**2) / 2)[..., None])

    return effect
