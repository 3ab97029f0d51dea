"""A depth map as a picture that says which end is near."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from da2k.depth import DepthKind, DepthMap
from da2k.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_UNITS = {
    DepthKind.METRIC_DEPTH: "depth (m)",
    DepthKind.SCALE_INVARIANT_DEPTH: "depth (up to scale)",
    DepthKind.AFFINE_DEPTH: "depth (up to scale and shift)",
    DepthKind.AFFINE_DISPARITY: "disparity (up to scale and shift)",
}
_NO_ANSWER = "#00b3b3"


def write_preview(depth: DepthMap, image_size: tuple[int, int], title: str, path: Path) -> None:
    """Write a map as PNG in the shape of its image: near is bright, whatever the kind; the legend names both ends.

    Colours run from the 1st to the 99th percentile of the finite values; pixels without an answer are teal.

    Raises:
        BadInput: the file cannot be written.
    """
    figure = draw(depth, image_size, title)
    write_atomically(path, lambda f: figure.savefig(f, format="png", dpi=100, metadata={"Software": None}))


def draw(depth: DepthMap, image_size: tuple[int, int], title: str) -> "Figure":
    """The figure of `write_preview`."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    finite = np.isfinite(depth.values)
    low, high = np.percentile(depth.values[finite], (1, 99)) if finite.any() else (0.0, 1.0)
    if low == high:
        high = low + max(abs(low), 1.0) * 1e-6
    nearer_is_larger = depth.kind.larger_is_nearer
    colours = colormaps["inferno" if nearer_is_larger else "inferno_r"].with_extremes(bad=_NO_ANSWER)
    height, width = image_size
    pixel_shape = (height / depth.size[0]) / (width / depth.size[1])
    figure = Figure(figsize=(7.2, 6.0 * min(max(height / width, 0.3), 2.0) + 0.6), layout="constrained")
    axes = figure.add_subplot()
    values = np.where(finite, depth.values, np.nan)
    shown = axes.imshow(values, cmap=colours, vmin=low, vmax=high, aspect=pixel_shape)
    axes.set_title(title, fontsize=9, parse_math=False)
    axes.set_axis_off()
    bar = figure.colorbar(shown, ax=axes, label=_UNITS[depth.kind])
    if not nearer_is_larger:
        bar.ax.invert_yaxis()
    bar.ax.set_title("near", fontsize=9)
    bar.ax.set_xlabel("far", fontsize=9)
    return figure
