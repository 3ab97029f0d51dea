"""Reading a map at the points of an image's pairs, against making the full-size map and reading the pixels."""

import numpy as np

from benchmarks.timing import peak_bytes, side_by_side
from da2k.depth import read_at

IMAGE = (3000, 4000)
"""12 megapixels."""


def full_size_scipy(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The whole map by separable linear interpolation in numpy, float32, then the pixels."""
    rows = np.linspace(0, values.shape[0] - 1, IMAGE[0], dtype=np.float32)
    cols = np.linspace(0, values.shape[1] - 1, IMAGE[1], dtype=np.float32)
    top, left = rows.astype(int), cols.astype(int)
    bottom, right = np.minimum(top + 1, values.shape[0] - 1), np.minimum(left + 1, values.shape[1] - 1)
    down, across = (rows - top)[:, None], (cols - left)[None]
    wide = values[:, left] * (1 - across) + values[:, right] * across
    whole = wide[top] * (1 - down) + wide[bottom] * down
    return whole[points[:, 0], points[:, 1]]


def full_size_torch(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The whole map by torch's bilinear interpolation, as Depth Anything V2's infer_image does, then the pixels."""
    import torch

    whole = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None], size=IMAGE, mode="bilinear", align_corners=True
    )[0, 0].numpy()
    return whole[points[:, 0], points[:, 1]]


def run() -> None:
    """Print the ratios and the memory."""
    rng = np.random.default_rng(0)
    values = rng.random((518, 686), np.float32)
    points = np.stack([rng.integers(0, side, 4) for side in IMAGE], axis=1)
    print(
        f"reading 2 pairs of a {values.shape[0]} x {values.shape[1]} map at {IMAGE[0] * IMAGE[1] / 1e6:.0f} megapixels"
    )
    for name, full in (("numpy", full_size_scipy), ("torch", full_size_torch)):
        try:
            assert np.allclose(full(values, points), read_at(values, points, IMAGE), atol=1e-3)
        except ImportError:
            print(f"  full-size map in {name}: not installed")
            continue
        slow, fast, ratio = side_by_side(lambda f=full: f(values, points), lambda: read_at(values, points, IMAGE))
        print(f"  full-size map in {name} {1e3 * slow:8.2f} ms, at the points {1e3 * fast:6.3f} ms: {ratio:7.0f} x")
    peak = peak_bytes(lambda: read_at(values, points, IMAGE))
    print(
        f"  memory at the points {peak / 1e3:.1f} kB; a full-size float32 map is {4 * IMAGE[0] * IMAGE[1] / 1e6:.0f} MB"
    )
