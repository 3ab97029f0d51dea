"""Selecting pairs again from stored readings: 100,000 pairs of 1000 images, read by four experts.

`python -m benchmarks.selection WORKSPACE` shows instead what the two ratio rules make of a workspace's own readings.
"""

import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from benchmarks.timing import seconds
from da2k.construction.drawing import ReadImage, draw_pairs
from da2k.construction.keypoints import place_keypoints, read_keypoints
from da2k.construction.readings import image_readings, take_readings
from da2k.construction.selection import select_pairs
from da2k.construction.settings import FILE_NAME, Settings, write_settings
from da2k.construction.workspace import Workspace, create_workspace, open_workspace
from da2k.files import sha256_file

IMAGES, PAIRS, SIZE = 1000, 100, (48, 64)
EXPERTS = ("row", "centre", "haze", "sharpness")


def settings_of(seed: int) -> Settings:
    """Settings that draw exactly 100 pairs an image."""
    return Settings.model_validate(
        {
            "seed": seed,
            "experts": [{"model": f"baseline:{cue}"} for cue in EXPERTS],
            "selection": {"quota": PAIRS, "attempts": PAIRS, "one_pair_a_mask": False, "audit": 0.1},
        }
    )


def fill(workspace: Workspace) -> None:
    """A thousand small photographs, with 192 key points each."""
    rng = np.random.default_rng(0)
    for index in range(IMAGES):
        image = f"images/indoor/{index:04}.png"
        path = workspace.folder / image
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*SIZE, 3), np.uint8)).save(path)
        stat = path.stat()
        row = (image, sha256_file(path), *SIZE, stat.st_size, stat.st_mtime_ns, "0" * 16)
        workspace.db.run("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", *row)
    place_keypoints(workspace)
    take_readings(workspace)


def read_images(workspace: Workspace) -> list[ReadImage]:
    """All that pairs are drawn from, of every image that all experts have read; without other ways of an expert."""
    readings, photos = image_readings(workspace), {photo.image: photo for photo in workspace.images()}
    names = [expert.name for expert in workspace.settings.experts]
    return [
        ReadImage(
            image,
            photos[image].sha256,
            photos[image].size,
            read_keypoints(workspace, image).points,
            [[(readings.by_image[image][name].kind, readings.by_image[image][name].values)] for name in names],
        )
        for image in readings.ready
    ]


def compare_rules(folder: Path, attempts: int = 2000) -> None:
    """Print how many of the same pairs, that many an image and stopping at no quota, are disputed by each rule."""
    with open_workspace(folder, read_only=True) as workspace:
        images, chosen, seed = read_images(workspace), workspace.settings.selection, workspace.settings.seed
    for rule in ("any", "all"):
        changes = {"attempts": attempts, "one_pair_a_mask": False, "ratio_rule": rule}
        drawn = [draw_pairs(read, chosen.model_copy(update=changes), attempts, seed) for read in images]
        found = Counter(pair.outcome for pairs in drawn for pair in pairs)
        none = sum(all(pair.outcome != "disputed" for pair in pairs) for pairs in drawn)
        print(f"ratio_rule: {rule}, ratio {chosen.ratio}: {dict(sorted(found.items()))}")
        print(f"  of {len(images)} images, {none} have no disputed pair")


def draw_all(workspace: Workspace, inputs: list[ReadImage]) -> int:
    """Draw every image's pairs and store nothing."""
    chosen, seed = workspace.settings.selection, workspace.settings.seed
    return sum(len(draw_pairs(read, chosen, chosen.quota, seed)) for read in inputs)


def run() -> None:
    """Print the seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_settings(folder / FILE_NAME, settings_of(0))
        with create_workspace(folder, settings_of(0)) as workspace:
            fill(workspace)
            inputs = read_images(workspace)
            first = seconds(lambda: select_pairs(workspace))
            again: list[float] = []
            drawing: list[float] = []
            nothing: list[float] = []
            for seed in range(1, 6):
                other = Workspace(folder, settings_of(seed), workspace.db)
                again.append(seconds(partial(select_pairs, other)))
                drawing.append(seconds(partial(draw_all, other, inputs)))
                nothing.append(seconds(partial(select_pairs, other)))
            ((stored,),) = workspace.db.run("SELECT count(*) FROM pairs")
    print(f"selecting {stored} pairs of {IMAGES} images from the stored readings of {len(EXPERTS)} experts")
    print(f"  for the first time {first:.2f} s")
    print(f"  again, with another seed {median(again):.2f} s, fastest {min(again):.2f} s (goal: under 2 s)")
    print(f"  of that, drawing and voting, without the database {median(drawing):.2f} s")
    print(f"  with nothing changed {median(nothing):.2f} s (goal: under 1 s)")


if __name__ == "__main__":
    compare_rules(Path(sys.argv[1])) if sys.argv[1:] else run()
