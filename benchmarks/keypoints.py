"""Key points of a photograph by a small random SAM: ours, against segment-anything used as its README shows.

The network is small (32 channels), so that the work after it, on the masks, weighs most, but has the published
resolution: 1024 pixels, 256 x 256 masks, 32 x 32 prompts, three masks each. About 40 % of the masks have the predicted
IoU that is asked for.
"""

import json
import math
import subprocess
import sys
import time
from pathlib import Path
from runpy import run_path
from typing import Literal, NamedTuple

SIZES = {"2 megapixels": (1155, 1732), "9 megapixels": (2449, 3674)}
"""(height, width) of the photographs, 3:2."""

Way = Literal["ours", "package"]


class Cost(NamedTuple):
    """Of one photograph: seconds, and the memory held before and at most (GB; NaN where the system does not say)."""

    seconds: float
    before: float
    peak: float


def in_own_process(way: Way, size: tuple[int, int]) -> Cost:
    """The cost of one way, measured in a process that does nothing else."""
    code = f"from benchmarks.keypoints import measure; measure({way!r}, {size!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return Cost(*json.loads(done.stdout.splitlines()[-1]))


def measure(way: Way, size: tuple[int, int]) -> None:
    """Print the cost of one way as JSON."""
    import numpy as np
    from PIL import Image
    from segment_anything import SamAutomaticMaskGenerator

    from da2k.construction.sam import SamSampler
    from da2k.construction.settings import SamSettings
    from da2k.images import Photo

    tiny = Path(__file__).resolve().parents[1] / "tests" / "construction" / "tiny_sam.py"
    sam = run_path(str(tiny))["tiny_sam"](1024)
    coarse = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC))
    before = _most_held(since_now=True)
    begun = time.perf_counter()
    if way == "ours":
        SamSampler(sam, SamSettings()).sample(Photo.from_array(pixels))
    else:
        SamAutomaticMaskGenerator(sam).generate(pixels)
    print(json.dumps([time.perf_counter() - begun, before, _most_held()]))


def run() -> None:
    """Print seconds, memory and ratios."""
    print("key points by a small random SAM, 32 x 32 prompts")
    for name, size in SIZES.items():
        first, package, second = (in_own_process(way, size) for way in ("ours", "package", "ours"))
        seconds = (first.seconds + second.seconds) / 2
        print(
            f"  {name}: segment-anything {package.seconds:.0f} s and {package.peak:.1f} GB, ours {seconds:.0f} s and "
            f"{max(first.peak, second.peak):.1f} GB (before: {first.before:.1f} GB): {package.seconds / seconds:.1f} x"
        )


def _most_held(since_now: bool = False) -> float:
    """The most memory, in GB, that this process held since it was last asked `since_now`; Linux only."""
    process = Path("/proc/self")
    if not (process / "clear_refs").exists():
        return math.nan
    if since_now:
        (process / "clear_refs").write_text("5")
    line = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e9


if __name__ == "__main__":
    run()
