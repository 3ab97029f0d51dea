"""Least squares in disparity, then AbsRel and δ1 in depth: in chunks, against numpy as it is usually written."""

import numpy as np

from benchmarks.timing import peak_bytes, side_by_side
from da2k.metrics.alignment import Values, least_squares
from da2k.metrics.dense import compare

SIZES = {"KITTI": (375, 1242), "ETH3D": (4032, 6048)}
CAP = 80.0
NAMES = ("absrel@depth", "delta1")


def plain(prediction: Values, truth: Values, dtype: type = np.float64) -> tuple[float, float]:
    """np.linalg.lstsq on an N x 2 matrix, the aligned depth, then each metric by itself."""
    prediction, truth = prediction.astype(dtype), truth.astype(dtype)
    matrix = np.stack([prediction, np.ones_like(prediction)], axis=1)
    scale, shift = np.linalg.lstsq(matrix, 1 / truth, rcond=None)[0]
    depth = 1 / np.maximum(scale * prediction + shift, 1 / CAP)
    absrel = np.mean(np.abs(depth - truth) / truth)
    delta1 = np.mean(np.maximum(depth / truth, truth / depth) < 1.25)
    return float(absrel), float(delta1)


def ours(prediction: Values, truth: Values) -> tuple[float, float]:
    """The same by da2k.metrics."""
    fit = least_squares(prediction, truth, inverse=True)
    found = compare(prediction, truth, NAMES, fit, fitted_in="disparity", metrics_in="depth", floor=1 / CAP, high=CAP)
    return found.values["absrel@depth"], found.values["delta1"]


def run() -> None:
    """Print the ratios, the differences and the memory."""
    rng = np.random.default_rng(0)
    print("alignment in disparity, AbsRel and δ1; all pixels valid, float32 arrays")
    for name, (height, width) in SIZES.items():
        truth = rng.uniform(1, 70, height * width).astype(np.float32)
        noise = rng.normal(0, 0.01, truth.size).astype(np.float32)
        prediction = np.float32(300) / truth + np.float32(100) * noise + np.float32(7)
        for dtype in (np.float64, np.float32):
            differences = np.subtract(plain(prediction, truth, dtype), ours(prediction, truth))
            slow, fast, ratio = side_by_side(
                lambda p=prediction, t=truth, d=dtype: plain(p, t, d),
                lambda p=prediction, t=truth: ours(p, t),
                rounds=11 if name == "KITTI" else 3,
            )
            print(
                f"  {name} {height} x {width}, lstsq in {dtype.__name__} {1e3 * slow:8.1f} ms, in chunks"
                f" {1e3 * fast:6.1f} ms: {ratio:5.1f} x (goal: 4 x); the values differ by {abs(differences).max():.0e}"
            )
        small = peak_bytes(lambda p=prediction, t=truth: ours(p, t))
        large = peak_bytes(lambda p=prediction, t=truth: plain(p, t))
        print(f"  {name} memory: in chunks {small / 1e6:.1f} MB, the usual way {large / 1e6:.0f} MB")
