"""Where the files of a submission lie, and where they should."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from da2k.datasets.da2k import Benchmark
from da2k.leaderboard.submissions.causes import map_names
from da2k.leaderboard.submissions.opening import Submission
from da2k.leaderboard.submissions.problems import Problem
from da2k.models.declaration import DECLARATION
from da2k.models.map_files import ENDINGS

_EXTRA_FILES = (
    "readme.md",
    "readme.txt",
    "licence",
    "license",
    "licence.txt",
    "license.txt",
    "licence.md",
    "license.md",
)
_LEFT_BY_PREDICT = ("previews/", ".predict.progress")


def misplaced_maps(submission: Submission, benchmark: Benchmark) -> Mapping[str, str]:
    """Maps that have the name of an image without a map and lie in another folder: the file, and the image."""
    files = set(submission.files)
    wanted: dict[str, str] = {}
    for image in benchmark.images:
        names = map_names(image)
        if files.isdisjoint(names):
            for name in names:
                wanted.setdefault(PurePosixPath(name).name, image)
    places = {name for image in benchmark.images for name in map_names(image)}
    found: dict[str, str] = {}
    for file in submission.files:
        name = PurePosixPath(file).name
        if name in wanted and file not in places and not file.startswith(_LEFT_BY_PREDICT):
            found[file] = wanted[name]
    return found


def misplaced_problems(misplaced: Mapping[str, str], benchmark: Benchmark, name: str) -> Iterator[Problem]:
    """One problem for all maps that lie in the wrong place."""
    if not misplaced:
        return
    file, image = next(iter(misplaced.items()))
    right = PurePosixPath(image).with_name(PurePosixPath(file).name)
    what = f"{len(misplaced)} of {len(benchmark.images)} maps lie in the wrong place, the first {file}"
    yield Problem(name, "", what, f"put it at {right}: maps lie as their images do, in images/<scenario>/")


def stray_files(submission: Submission, benchmark: Benchmark, misplaced: Mapping[str, str]) -> Iterator[Problem]:
    """Files that are no map of an image, nor anything else that may be there.

    `README`, `LICENCE` and what `da2k predict` leaves beside maps may stay; they are not read.
    """
    wanted = {DECLARATION, *misplaced, *(name for image in benchmark.images for name in map_names(image))}
    for file in submission.files:
        if file in wanted or file.startswith(_LEFT_BY_PREDICT) or file.lower() in _EXTRA_FILES:
            continue
        if file.endswith(ENDINGS):
            yield Problem(file, "", f"is the map of no image of {benchmark.name}", "name maps as their images")
        else:
            yield Problem(file, "", "does not belong to a submission", "leave it out")
