"""Gold pairs: pairs whose answer is known, mixed in unseen among the others, to see who answers carelessly."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import floor
from pathlib import Path
from typing import Literal

from da2k.construction.workspace import TakenImage, Workspace
from da2k.datasets.da2k import ANNOTATIONS, find_root, locate, read_annotations
from da2k.errors import BadInput
from da2k.files import sha256_file
from da2k.pairs import Pair, read_pair_id

Closer = Literal["point1", "point2"]


@dataclass(frozen=True, slots=True)
class Gold:
    """A pair whose answer is known.

    Attributes:
        pair: its id.
        photo: SHA-256 of the photograph that the answer is true of.
        closer: the closer point; point1 is the first of the pair's id.
    """

    pair: str
    photo: str
    closer: Closer


@dataclass(frozen=True, slots=True)
class GoldReport:
    """What became of a file of gold pairs; `added + changed + known + elsewhere + other_photo == pairs`.

    Attributes:
        pairs: different pairs in the file.
        added: gold from now on.
        changed: were gold with the opposite answer, or of an earlier photograph; what the file says counts now.
        known: were gold already.
        elsewhere: on photographs that the workspace does not have; not stored.
        other_photo: on a photograph that lies beside the file and is not the one of that name in the workspace, which
            the answer may be wrong of; not stored.
        first_left: the first pair of the two kinds that were not stored; None if there is none.
        held: gold pairs in the workspace now, on photographs as they are.
        queued: of those, pairs that people are asked about anyway.
    """

    pairs: int
    added: int
    changed: int
    known: int
    elsewhere: int
    other_photo: int
    first_left: str | None
    held: int
    queued: int


def add_gold(workspace: Workspace, path: Path) -> GoldReport:
    """Take in gold pairs of photographs of the workspace; pairs that are gold already stay so.

    Args:
        workspace: open for writing.
        path: a file in the official format (`annotations.json`), or a folder that holds one. Where photographs lie
            beside it, they are compared with those of the workspace.

    Raises:
        BadInput: the file is not in the format, says two things of one pair, names a pixel outside its photograph, or
            has no pair on a photograph of the workspace; nothing is stored then.
    """
    file = find_root(path) / ANNOTATIONS if path.is_dir() else path
    answers = _answers(read_annotations(file), file)
    if not answers:
        raise BadInput(f"{file}: holds no pair")
    taken = {image.image: image for image in workspace.images()}
    here = {key: pair for key, pair in answers.items() if pair.image in taken}
    for pair in here.values():
        _require_inside(pair, taken[pair.image], file)
    others = _other_photos(file.parent, {pair.image for pair in here.values()}, taken)
    gold = [
        Gold(key, taken[pair.image].sha256, _closer(pair)) for key, pair in here.items() if pair.image not in others
    ]
    if not gold:
        raise BadInput(f"{file}: {_none_of(len(answers), others)}")
    before = {each.pair: each for each in _stored(workspace)}
    with workspace.db.transaction():
        rows = [(each.pair, each.photo, each.closer) for each in gold]
        workspace.db.run_many("INSERT OR REPLACE INTO gold VALUES (?, ?, ?)", rows)
    stored = {each.pair for each in gold}
    held = gold_pairs(workspace)
    return GoldReport(
        pairs=len(answers),
        added=sum(each.pair not in before for each in gold),
        changed=sum(before.get(each.pair, each) != each for each in gold),
        known=sum(before.get(each.pair) == each for each in gold),
        elsewhere=len(answers) - len(here),
        other_photo=len(here) - len(gold),
        first_left=next((key for key in answers if key not in stored), None),
        held=len(held),
        queued=len({each.pair for each in held} & _queued(workspace)),
    )


def gold_pairs(workspace: Workspace) -> list[Gold]:
    """The gold pairs of photographs as they are now, by id; a photograph that was changed has none any more."""
    photos = {image.image: image.sha256 for image in workspace.images()}
    return [each for each in _stored(workspace) if photos.get(read_pair_id(each.pair)[0]) == each.photo]


def chosen_gold(workspace: Workspace, asked: int) -> list[Gold]:
    """The gold pairs to mix in: so many that they make up the share of all tasks that the settings want.

    Chosen by chance, the same for the same seed; with more pairs asked there are more of them, and those chosen
    before stay. Gold pairs that are queued are not among them: they are asked anyway. Fewer, where there are fewer.

    Args:
        workspace: open.
        asked: pairs that people are asked about otherwise, in all, those sent earlier included.
    """
    share, seed, queued = workspace.settings.annotation.gold, workspace.settings.seed, _queued(workspace)
    wanted = floor(asked * share / (1 - share) + 0.5)
    free = [each for each in gold_pairs(workspace) if each.pair not in queued]
    return sorted(free, key=lambda each: hashlib.sha256(f"gold\n{seed}\n{each.pair}".encode()).digest())[:wanted]


def _stored(workspace: Workspace) -> list[Gold]:
    return [Gold(*row) for row in workspace.db.run("SELECT pair, photo, closer FROM gold ORDER BY pair")]


def _queued(workspace: Workspace) -> set[str]:
    return {key for (key,) in workspace.db.run("SELECT id FROM pairs WHERE queued")}


def _answers(pairs: Iterable[Pair], file: Path) -> dict[str, Pair]:
    """Each pair once, by id."""
    found: dict[str, Pair] = {}
    for pair in pairs:
        if found.setdefault(pair.id, pair).closer_point != pair.closer_point:
            raise BadInput(f"{file}: says of {pair.id} both that one point is closer and that the other is; keep one")
    return found


def _require_inside(pair: Pair, image: TakenImage, file: Path) -> None:
    height, width = image.size
    for row, col in (pair.point1, pair.point2):
        if row >= height or col >= width:
            raise BadInput(
                f'{file}: "{pair.image}": ({row}, {col}) is outside the image of {height} rows x {width} columns'
            )


def _other_photos(root: Path, images: Iterable[str], taken: Mapping[str, TakenImage]) -> set[str]:
    """The images beside the file that have other bytes than the workspace's of the same name."""

    def different() -> Iterator[str]:
        for image in images:
            beside = locate(root, image)
            try:
                if beside.is_file() and sha256_file(beside) != taken[image].sha256:
                    yield image
            except OSError as e:
                raise BadInput(f"{beside}: {e.strerror or e}") from None

    return set(different())


def _closer(pair: Pair) -> Closer:
    return "point1" if pair.closer_point < pair.farther_point else "point2"


def _none_of(count: int, others: Iterable[str]) -> str:
    pairs = "the one pair is" if count == 1 else f"none of its {count} pairs is"
    wrong = " not" if count == 1 else ""
    why = (
        f"; {other} beside it is another photograph than the workspace's" if (other := min(others, default="")) else ""
    )
    return f"{pairs}{wrong} on a photograph of this workspace; gold pairs are of its own photographs{why}"
