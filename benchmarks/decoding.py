"""A fast model on large photographs: images decoded ahead in threads, against one after the other."""

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.timing import side_by_side
from da2k.datasets.benchmarks import open_photos
from da2k.datasets.da2k import read_benchmark
from da2k.depth import DepthKind, DepthMap
from da2k.evaluation.evaluate import evaluate
from da2k.images import Photo


class Fast:
    """A model that takes 60 ms an image without using a core, as a network on a GPU would."""

    def predict(self, images: Sequence[Photo]) -> list[DepthMap]:
        """A small map of the image's aspect."""
        maps = []
        for photo in images:
            pixels = photo.pixels
            time.sleep(0.06)
            maps.append(DepthMap(pixels[::100, ::100, 0], DepthKind.AFFINE_DISPARITY))
        return maps


def run() -> None:
    """Print the ratio."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        rng = np.random.default_rng(0)
        labels = {}
        coarse = Image.fromarray(rng.integers(0, 256, (150, 200, 3), np.uint8))
        for index in range(24):
            image = f"images/outdoor/{index}.jpg"
            (root / image).parent.mkdir(parents=True, exist_ok=True)
            coarse.rotate(index).resize((2000, 1500)).save(root / image, quality=92)
            labels[image] = [{"point1": [5, 5], "point2": [700, 900], "closer_point": "point1"}]
        (root / "annotations.json").write_text(json.dumps(labels))
        benchmark = read_benchmark(root)

        def one_after_the_other() -> None:
            model = Fast()
            for photo in open_photos(benchmark).values():
                assert isinstance(photo, Photo)
                model.predict([photo])

        plain, ours, ratio = side_by_side(one_after_the_other, lambda: evaluate(Fast(), benchmark), rounds=5)
    print("24 photographs of 1500 x 2000, a model of 60 ms an image")
    print(f"  one after the other {plain:.2f} s, decoded ahead {ours:.2f} s: {ratio:.2f} x; the model alone 1.44 s")
