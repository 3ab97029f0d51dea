"""`python -m benchmarks.experts MODEL… --images FOLDER`: images per second by batch and type, and which order changes.

For each model, batch size and type: images per second, and the share of pairs of pixels whose order differs from that
in float32 one image at a time. Half precision runs only where there is a GPU.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import seconds
from da2k.errors import Da2kError
from da2k.images import Photo
from da2k.models import Model
from da2k.models.registry import load_model

PAIRS = 2000
"""Pairs an image, drawn anew for each image from its own seed."""


def order(model: Model, photos: list[Photo], batch_size: int) -> tuple[float, NDArray[np.int8]]:
    """Images per second, and for every pair of every photo the sign of the difference of its two values."""
    maps = []

    def work() -> None:
        for start in range(0, len(photos), batch_size):
            maps.extend(model.predict(photos[start : start + batch_size]))

    rate = len(photos) / seconds(work)
    signs = []
    for index, (photo, depth) in enumerate(zip(photos, maps, strict=True)):
        rng = np.random.default_rng(index)
        points = np.stack([rng.integers(0, side, 2 * PAIRS) for side in photo.size], axis=1)
        values = depth.read_at(points, photo.size)
        signs.append(np.sign(values[:PAIRS] - values[PAIRS:]))
    return rate, np.concatenate(signs).astype(np.int8)


def main() -> None:
    """Measure the models that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", help="model strings")
    parser.add_argument("--images", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--limit", type=int, default=8, help="photographs used, the first by name")
    parser.add_argument("--size", type=int, default=0, help="scale the longer side to this, so that batches fill")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--option", "-o", action="append", default=[], metavar="KEY=VALUE")
    given = parser.parse_args()
    found = sorted(p for p in given.images.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))[: given.limit]
    photos = [resized(Photo.open(path), given.size) for path in found]
    options = dict(pair.split("=", 1) for pair in given.option)
    print(f"{len(photos)} photographs, {PAIRS} pairs each")
    print("model | device | type | batch | images/s | order changed")
    for spec in given.models:
        reference = None
        for dtype in ("float32", "float16", "bfloat16"):
            try:
                model = load_model(spec, {**options, "dtype": dtype}, given.device)
            except Da2kError as e:
                print(f"{spec} | | {dtype} | | | not run: {e}")
                continue
            model.predict(photos[:1])
            for batch_size in given.batches:
                rate, signs = order(model, photos, batch_size)
                reference = signs if reference is None else reference
                changed = 100 * float((signs != reference).mean())
                device = getattr(model, "device", "")
                print(f"{spec} | {device} | {dtype} | {batch_size} | {rate:.2f} | {changed:.3f} %")


def resized(photo: Photo, longer: int) -> Photo:
    """The photo with its longer side scaled to this, or as it is for 0, in memory."""
    from PIL import Image

    pixels = Image.fromarray(photo.pixels)
    if longer:
        scale = longer / max(pixels.size)
        pixels = pixels.resize((round(pixels.width * scale), round(pixels.height * scale)))
    return Photo.from_array(np.asarray(pixels), photo.name)


if __name__ == "__main__":
    main()
