"""Images that failed, as problems: one for each cause, however many images it struck."""

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from da2k.leaderboard.submissions.problems import Problem, capped
from da2k.models.map_files import ENDINGS
from da2k.results import Failure

_ALLOW = "or hand it in with --allow-failures, and its pairs count as not correct"
_ASPECT = ("another aspect ratio", " If each image was squeezed")
_STRETCHED = "if the network squeezes each image into one shape, declare aspect: stretched; if not, make its map anew"
_ABSENT = "no prediction"
_NUMBER = re.compile(r"\d+(\.\d+)?")


def failure_problems(failures: Iterable[Failure], images: int, file: str) -> Iterator[Problem]:
    """The failures by cause, in the order of the first of each.

    Args:
        failures: of a result.
        images: that were scored, failed or not.
        file: what was handed in.
    """
    causes: dict[str, list[Problem]] = {}
    for each in failures:
        problem = _problem(each)
        causes.setdefault(_cause(problem.what, each.image), []).append(problem)
    yield from capped((_one(found, images, file) for found in causes.values()), file, "causes why maps failed")


def map_names(image: str) -> tuple[str, ...]:
    """Where an image's map may lie: `x.npy`, or `x.jpg.npy`, with any of the endings."""
    path = PurePosixPath(image)
    return tuple(str(path.with_suffix(ending)) for ending in ENDINGS) + tuple(f"{path}{ending}" for ending in ENDINGS)


def _cause(what: str, image: str) -> str:
    """What is wrong without names and numbers: these differ from map to map where the cause does not."""
    for name in (image, PurePosixPath(image).name, PurePosixPath(image).stem):
        what = what.replace(name, "*")
    return _NUMBER.sub("#", what)


def _one(found: list[Problem], images: int, file: str) -> Problem:
    first = found[0]
    if len(found) == 1:
        return first
    return Problem(file, "", f"{len(found)} of {images} maps: {first.what}, the first {first.file}", first.todo)


def _problem(failure: Failure) -> Problem:
    """What is wrong, without the names that stand before it; a remedy in the reason takes the place of ours."""
    names = map_names(failure.image)
    # A result has the path as it was where it was made; a row has its last name only.
    place, _, rest = failure.reason.partition(": ")
    last = place.replace("\\", "/").rpartition("/")[2]
    named = [name for name in names if rest and PurePosixPath(name).name == last]
    file, reason = (named[0], rest) if named else (failure.image, failure.reason)
    if reason.startswith(_ABSENT):
        return Problem(names[0], "", "missing", f"make the map of {failure.image}; {_ALLOW}")
    if _ASPECT[0] in reason:
        return Problem(file, "", reason.partition(_ASPECT[1])[0], _STRETCHED)
    what, _, todo = reason.rpartition("; ")
    return Problem(file, "", what or reason, f"{todo if what else 'make its map anew'}; {_ALLOW}")
