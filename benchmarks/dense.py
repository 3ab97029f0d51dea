"""Scoring depth maps from disk against measured depth: one worker against two."""

import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from benchmarks.timing import seconds
from da2k.evaluation.dense import evaluate_dense

FRAMES, DIFFERENT, SIZE = 200, 20, (375, 1242)


def write(folder: Path) -> None:
    """200 KITTI-size frames with depth at 20 % of their pixels as 16-bit PNG, and a float32 map for each."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(FRAMES):
        rgb = f"2011_09_26/drive/image_02/data/{index:010}.png"
        truth = f"drive/proj_depth/groundtruth/image_02/{index:010}.png"
        rows.append(f"{rgb} {truth} 721.5377")
        places = [folder / "kitti" / rgb, folder / "kitti" / truth, folder / "maps" / rgb.replace(".png", ".npy")]
        for place in places:
            place.parent.mkdir(parents=True, exist_ok=True)
        if index >= DIFFERENT:
            for place in places:
                place.hardlink_to(place.with_stem(f"{index % DIFFERENT:010}"))
            continue
        depth = np.exp(rng.uniform(np.log(3), np.log(78), SIZE))
        Image.fromarray(rng.integers(0, 256, (*SIZE, 3), np.uint8)).save(places[0])
        stored = np.where(rng.random(SIZE) < 0.2, np.round(depth * 256), 0)
        Image.fromarray(stored.astype(np.uint16)).save(places[1])
        np.save(places[2], (1 / depth + rng.normal(0, 0.01, SIZE)).astype(np.float32))
    (folder / "list.txt").write_text("\n".join(rows))
    (folder / "maps" / "predictions.yaml").write_text("{model: noise, kind: affine_disparity}")


def run() -> None:
    """Print the seconds and the ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)

        def score(workers: int) -> float:
            return seconds(
                lambda: evaluate_dense(
                    f"predictions:{folder / 'maps'}",
                    "kitti",
                    "dav2-table2",
                    root=folder / "kitti",
                    own_list=folder / "list.txt",
                    workers=workers,
                )
            )

        score(1)
        timed = [(score(1), score(2)) for _ in range(5)]
    one, two = (median(column) for column in zip(*timed, strict=True))
    print(f"scoring {FRAMES} maps of {SIZE[0]} x {SIZE[1]} from disk against measured depth, protocol dav2-table2")
    ratio = median(a / b for a, b in timed)
    print(f"  one worker {one:.2f} s, two {two:.2f} s: {ratio:.2f} x (goal: 1.7 x)")


if __name__ == "__main__":
    run()
