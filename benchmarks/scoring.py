"""Scoring a benchmark of DA-2K's size from cached predictions of network size."""

import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.timing import seconds
from da2k.evaluation.evaluate import evaluate
from da2k.pairs import SCENARIOS

IMAGES, PAIRS = 1033, 2068


def write(folder: Path) -> None:
    """1033 photographs of 1500 x 2000, their pairs, and a 518 x 686 float32 map for each."""
    rng = np.random.default_rng(0)
    photo = folder / "photo.jpg"
    Image.fromarray(rng.integers(0, 256, (1500, 2000, 3), np.uint8)).save(photo, quality=30)
    labels: dict[str, list[object]] = {}
    for index in range(IMAGES):
        image = f"images/{SCENARIOS[index % 8]}/{index:04}.jpg"
        (folder / "bench" / image).parent.mkdir(parents=True, exist_ok=True)
        (folder / "bench" / image).hardlink_to(photo)
        path = (folder / "maps" / image).with_suffix(".npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, rng.random((518, 686), np.float32))
        labels[image] = []
    for index in range(PAIRS):
        points = {f"point{i}": [int(rng.integers(1500)), int(rng.integers(2000))] for i in (1, 2)}
        labels[list(labels)[index % IMAGES]].append({**points, "closer_point": "point1"})
    (folder / "bench" / "annotations.json").write_text(json.dumps(labels))
    (folder / "maps" / "predictions.yaml").write_text("{model: random, kind: affine_disparity}")


def run() -> None:
    """Print the seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        times = [
            seconds(lambda: evaluate(f"predictions:{folder / 'maps'}", folder / "bench", out=folder / "r" / "r.json"))
            for _ in range(3)
        ]
    print(f"scoring {PAIRS} pairs over {IMAGES} cached 518 x 686 predictions")
    print(f"  {min(times):.2f} to {max(times):.2f} s in 3 runs, result and rows written (goal: under 5 s)")
