"""Submissions that tests hand in, and what their score has to be."""

import json
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

import da2k
from da2k.datasets.benchmarks import open_benchmark
from da2k.leaderboard.submissions.check import Checked, check_submission


def labels(root: Path) -> dict[str, list[dict[str, object]]]:
    return json.loads((root / "annotations.json").read_text())


def write_maps(folder: Path, root: Path, **fields: object) -> Path:
    """A disparity map of the image's own size for every image, of few values, so with ties; and its declaration."""
    folder.mkdir(parents=True, exist_ok=True)
    declare(folder, **fields)
    for name in labels(root):
        path = (folder / name).with_suffix(".npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, map_of(root, name))
    return folder


def map_of(root: Path, name: str) -> np.ndarray:
    size = da2k.Photo.open(root / name).size
    return np.random.default_rng(sum(name.encode())).integers(0, 5, size).astype(np.float32)


def declare(folder: Path, **fields: object) -> None:
    content = {"model": "Mine", "kind": "affine_disparity", **fields}
    (folder / "predictions.yaml").write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def true_outcomes(root: Path) -> Counter[str]:
    """Of the maps of `write_maps`, by reading the array at the labels' points: larger is nearer."""
    found: Counter[str] = Counter()
    for name, pairs in labels(root).items():
        values = map_of(root, name)
        for pair in pairs:
            closer, farther = (str(p) for p in ("point1", "point2"))
            if pair["closer_point"] == "point2":
                closer, farther = farther, closer
            a, b = values[tuple(pair[closer])], values[tuple(pair[farther])]
            found["correct" if a > b else "tied" if a == b else "wrong"] += 1
    return found


def write_result(folder: Path, root: Path, name: str = "result.json") -> Path:
    """The result of the same maps, as `da2k evaluate` writes it, with its rows beside it."""
    maps = write_maps(folder / "maps", root)
    da2k.evaluate(f"predictions:{maps}", root, out=folder / name, resume=False)
    shutil.rmtree(maps)
    return folder / name


def rewritten(result: Path, **fields: object) -> Path:
    """The result with other values at dotted fields."""
    content = json.loads(result.read_text())
    for field, value in fields.items():
        place = content
        *above, last = field.split("__")
        for part in above:
            place = place[int(part)] if isinstance(place, list) else place[part]
        place[last] = value
    result.write_text(json.dumps(content))
    return result


def pack(folder: Path, archive: Path, top: str = "") -> Path:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                file.write(path, top + path.relative_to(folder).as_posix())
    return archive


def check(path: Path, root: Path, **options: object) -> Checked:
    return check_submission(path, open_benchmark(root), **options)


def told(checked: Checked) -> str:
    return "\n".join(map(str, checked.problems))
