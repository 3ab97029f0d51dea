"""Fixtures shared by all tests."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from da2k.pairs import SCENARIOS

# A shell's background job ignores Ctrl-C, and so would every process that a test starts and then interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Times are noisy on small machines; a slow example is no failure.
settings.register_profile("da2k", deadline=None)
settings.load_profile("da2k")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photographs, networks and reference outputs, kept outside the repository."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the folder of real data, ../shared, which is not here")
    return SHARED


@pytest.fixture
def make_benchmark(tmp_path: Path) -> Callable[..., Path]:
    """Writes small benchmarks: `make_benchmark(images=…, pairs=…, seed=…)` gives the folder."""

    def make(images: int = 4, pairs: int = 3, seed: int = 0, name: str = "bench", ending: str = "png") -> Path:
        rng = np.random.default_rng(seed)
        root = tmp_path / name
        annotations = {}
        for i in range(images):
            scenario = SCENARIOS[i % len(SCENARIOS)]
            height, width = int(rng.integers(20, 50)), int(rng.integers(51, 90))
            file = root / "images" / scenario / f"photo{i:03}.{ending}"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(file)
            chosen = rng.choice(height * width, (pairs, 2), replace=False)
            points = [[divmod(int(pixel), width) for pixel in pair] for pair in chosen]
            annotations[file.relative_to(root).as_posix()] = [
                {"point1": list(a), "point2": list(b), "closer_point": str(rng.choice(["point1", "point2"]))}
                for a, b in points
            ]
        (root / "annotations.json").write_text(json.dumps(annotations))
        return root

    return make
