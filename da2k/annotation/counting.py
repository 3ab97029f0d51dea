"""What annotations amount to: answers, pairs chosen by hand, and what is wrong with the rest."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from da2k.annotation.interface import FARTHER, NEARER, NO_PAIR, NONE, POINT
from da2k.annotation.listing import Annotation, person_name
from da2k.annotation.tasks import CLOSER, GIVEN, Kind, PairTask, PhotoTask, what_is_asked
from da2k.construction.decisions import Answer, Says
from da2k.construction.workspace import TakenImage
from da2k.errors import BadInput
from da2k.pairs import Point, pair_id, read_pair_id

_BESIDE = 1.0  # percent of a side that a point may lie outside the photograph and still be meant for its border
_AT_ONCE = timedelta(seconds=2)
"""An annotation that is sent with its task is made and written within a moment; what people do comes later."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An annotation, or several, that do not count as they stand.

    Attributes:
        what: the sort of it, such as "unknown choice".
        where: which task and person, and the detail.
        url, project: where the annotations are.
    """

    what: str
    where: str
    url: str
    project: int


@dataclass(frozen=True, eq=False)
class Counted:
    """What all annotations that are held amount to.

    Attributes:
        answers: at most one a pair, photograph and person.
        sources: for each answer, the server and the project that it is from.
        chosen: pairs that people chose by hand, by id: the image and the two pixels.
        unclear: photo tasks in which somebody found no clear pair, each with the server and the project.
        skipped: annotations that are skips, by server and project.
        problems: what does not count.
    """

    answers: tuple[Answer, ...]
    sources: tuple[tuple[str, int], ...]
    chosen: Mapping[str, tuple[str, Point, Point]]
    unclear: tuple[tuple[str, tuple[str, int]], ...]
    skipped: Mapping[tuple[str, int], int]
    problems: tuple[Problem, ...]


_About = tuple[str | None, str, str]


@dataclass(frozen=True, slots=True)
class _Said:
    """A readable annotation: `says` is about `pair`, which is None for "no clear pair".

    `sent` is whether push put it into its task, for the person who had chosen the pair.
    """

    kind: Kind
    annotation: Annotation
    external_id: str
    photo: str
    person: str
    pair: str | None
    says: Says | None
    sent: bool = False

    @property
    def time(self) -> tuple[str, int]:
        return self.annotation.changed or "", self.annotation.id

    @property
    def about(self) -> _About:
        return self.pair, self.photo, self.person

    @property
    def is_copy(self) -> bool:
        """Whether it is as push sent it: it says what its person said then, and not when."""
        made, changed = self.annotation.created, self.annotation.updated
        touched = made and changed and datetime.fromisoformat(changed) - datetime.fromisoformat(made) > _AT_ONCE
        return self.sent and not touched


def count(
    annotations: Iterable[Annotation], names: Mapping[tuple[str, str], str], images: Mapping[str, TakenImage]
) -> Counted:
    """What annotations amount to.

    A person counts once: of several readable annotations the one changed last does, and the others are reported. A
    skip is no answer. Who chose a pair says what the marks on the photograph say: the copy that push put into the
    pair's task says nothing while those marks count, unless the person changed it later. Answers belong to the
    photograph that was shown; a pair chosen on a photograph that has been replaced since is chosen no more.

    Args:
        annotations: all that are held.
        names: e-mail addresses by server and user number.
        images: the photographs of the workspace, by path.
    """
    problems: list[Problem] = []
    skipped: Counter[tuple[str, int]] = Counter()
    said: list[_Said] = []
    for annotation in annotations:
        place = annotation.url, annotation.project
        try:
            task = read_asked(annotation)
            if annotation.cancelled:
                skipped[place] += 1
                continue
            said.append(_read(annotation, task, person_name(names, annotation), images))
        except _Unusable as e:
            where = annotation.external_id or f"task {annotation.task}"
            detail = f": {e.detail}" if e.detail else ""
            problems.append(Problem(e.what, f"{where}{detail}", *place))
    photos = _latest([each for each in said if each.kind == "photos"], problems)
    marked = {each.about: each for each in sorted(photos, key=lambda each: each.time) if each.pair}
    pairs = [each for each in said if each.kind == "pairs" and not (each.is_copy and each.about in marked)]
    chosen = {each.pair: (image, one, other) for each in photos for image, one, other in _points(each)}
    once = [*_latest(pairs, problems), *(each for each in photos if each.pair)]
    answers = sorted(_counting(once), key=lambda each: (each.pair or "", each.person, each.photo))
    problems += [
        Problem("photograph replaced", f"{each.external_id}: {each.person}", *_place(each))
        for each in answers
        if images[read_pair_id(each.pair or "")[0]].sha256 != each.photo
    ]
    return Counted(
        answers=tuple(_answer(each, marked.get(each.about) if each.sent else None) for each in answers),
        sources=tuple(map(_place, answers)),
        chosen={pair: found for pair, found in sorted(chosen.items()) if pair},
        unclear=tuple(sorted({(each.external_id, _place(each)) for each in photos if each.pair is None})),
        skipped=skipped,
        problems=tuple(sorted(problems, key=lambda each: (each.what, each.where, each.url, each.project))),
    )


class _Unusable(Exception):
    """An annotation that cannot count."""

    def __init__(self, what: str, detail: str = "") -> None:
        super().__init__(what)
        self.what, self.detail = what, detail


def read_asked(annotation: Annotation) -> PairTask | PhotoTask:
    """What an annotation's task asked; the letter A's place and the photograph are in its meta only."""
    meta = _loaded(annotation.meta)
    ours = isinstance(meta, Mapping) and meta.get("da2k") == 1
    try:
        kind, what = what_is_asked(annotation.external_id)
    except BadInput:
        raise _Unusable("external_id lost" if ours else "foreign task") from None
    if not ours:
        raise _Unusable("no meta", "so nobody knows what was shown")
    photo = meta.get("photo")
    if not isinstance(photo, str) or not re.fullmatch("[0-9a-f]{64}", photo):
        raise _Unusable("no meta", "it names no photograph")
    task: PairTask | PhotoTask
    if kind == "photos":
        task = PhotoTask(what, photo, int(annotation.external_id.rpartition("/")[2]))
    elif isinstance(meta.get("swapped"), bool) and meta.get("pair", what) == what:
        task = PairTask(what, photo, meta["swapped"])
    else:
        raise _Unusable("no meta", "it does not say where A stands")
    if task.external_id != annotation.external_id:
        raise _Unusable("no meta", "it is that of another task")
    return task


def pixel(x: float, y: float, size: tuple[int, int]) -> Point | None:
    """The pixel that Label Studio names in percent of the width and the height; None if it is not on the photograph.

    The centre of column c of a photograph W wide is at 100 (c + 0.5) / W.

    Args:
        x, y: percent from the left and from the top.
        size: (height, width).
    """
    if not all(math.isfinite(v) and -_BESIDE <= v <= 100 + _BESIDE for v in (x, y)):
        return None
    height, width = size
    row, col = math.floor(y / 100 * height), math.floor(x / 100 * width)
    return Point(min(max(row, 0), height - 1), min(max(col, 0), width - 1))


def _read(annotation: Annotation, task: PairTask | PhotoTask, person: str, images: Mapping[str, TakenImage]) -> _Said:
    image = images.get(task.image)
    if image is None:
        raise _Unusable("photograph not taken in", f"{person}; {task.image} is not in the workspace any more")
    result = _loaded(annotation.result)
    items = [item for item in result if isinstance(item, Mapping)] if isinstance(result, list) else []
    if not items:
        raise _Unusable("empty answer", person)
    if isinstance(task, PairTask):
        choice = _choice(items, CLOSER, person)
        says = task.says(choice)
        if says is None:
            raise _Unusable("unknown choice", f"{person}: {_short(choice)}")
        if any(row >= image.size[0] or col >= image.size[1] for row, col in task.points):
            raise _Unusable("photograph replaced", f"{person}; the pair lies outside the new one")
        return _Said("pairs", annotation, task.external_id, task.photo, person, task.pair, says, sent=_is_sent(items))
    if image.sha256 != task.photo:
        raise _Unusable("photograph replaced", person)
    pair, says = _marked(items, task.image, image.size, person)
    return _Said("photos", annotation, task.external_id, task.photo, person, pair, says)


def _choice(items: Sequence[Mapping[str, Any]], control: str, person: str) -> str:
    """The one choice of a control."""
    of_it = [item for item in items if item.get("from_name") == control]
    if not of_it:
        raise _Unusable("unknown control", f"{person}: {', '.join(_short(i.get('from_name')) for i in items)}")
    found = [choice for item in of_it for choice in _listed(item, "choices")]
    if len(found) != 1 or not isinstance(found[0], str):
        raise _Unusable("unknown choice", f"{person}: {_short(found)}")
    return found[0]


def _is_sent(items: Iterable[Mapping[str, Any]]) -> bool:
    return any(item.get("id") == GIVEN for item in items)


def _marked(
    items: Sequence[Mapping[str, Any]], image: str, size: tuple[int, int], person: str
) -> tuple[str | None, Says | None]:
    """The pair that the marks on a photograph make, and which point of it is the nearer; None for no clear pair."""
    marks = [item for item in items if item.get("from_name") == POINT]
    if not marks and any(item.get("from_name") == NONE for item in items):
        if (choice := _choice(items, NONE, person)) != NO_PAIR:
            raise _Unusable("unknown choice", f"{person}: {_short(choice)}")
        return None, None
    if not marks:
        raise _Unusable("unknown control", f"{person}: {', '.join(_short(i.get('from_name')) for i in items)}")
    if any(item.get("from_name") == NONE for item in items):
        raise _Unusable("points and no clear pair", person)
    labels = [label for item in marks for label in _listed(item, "keypointlabels") or [None]]
    if sorted(map(str, labels)) != [FARTHER, NEARER]:
        told = ", ".join(_short(label) for label in labels)
        raise _Unusable("not one nearer and one farther point", f"{person}: {told}")
    found = {str(_listed(item, "keypointlabels")[0]): _pixel_of(item, size, person) for item in marks}
    if found[NEARER] == found[FARTHER]:
        raise _Unusable("both points are the same pixel", f"{person}: {tuple(found[NEARER])}")
    says: Says = "point1" if found[NEARER] < found[FARTHER] else "point2"
    return pair_id(image, found[NEARER], found[FARTHER]), says


def _pixel_of(item: Mapping[str, Any], size: tuple[int, int], person: str) -> Point:
    value = item["value"]
    place = value.get("x"), value.get("y")
    if item.get("image_rotation") not in (None, 0):
        raise _Unusable("photograph turned", person)
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e9 for v in place):
        raise _Unusable("point outside the photograph", f"{person}: {_short(place)}")
    found = pixel(float(place[0]), float(place[1]), size)
    if found is None:
        raise _Unusable("point outside the photograph", f"{person}: {_short(place)}")
    return found


def _listed(item: Mapping[str, Any], key: str) -> list[Any]:
    value = item.get("value")
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, list) else []


def _latest(said: Sequence[_Said], problems: list[Problem]) -> list[_Said]:
    """Of each person's annotations of a task, the last; reports the others."""
    found: dict[tuple[str, str], list[_Said]] = {}
    for each in said:
        found.setdefault((each.external_id, each.person), []).append(each)
    for (external_id, person), same in found.items():
        if len(same) > 1:
            detail = f"{external_id}: {person}, {len(same)} times; the last counts"
            problems.append(Problem("answered twice", detail, *_place(max(same, key=lambda each: each.time))))
    return [max(same, key=lambda each: each.time) for same in found.values()]


def _counting(said: Iterable[_Said]) -> list[_Said]:
    """Of each person's answers to a pair, the last: who chose a pair by hand may answer it again as any other."""
    found: dict[_About, _Said] = {}
    for each in sorted(said, key=lambda each: each.time):
        found[each.about] = each
    return list(found.values())


def _points(said: _Said) -> list[tuple[str, Point, Point]]:
    return [read_pair_id(said.pair)] if said.pair else []


def _place(said: _Said) -> tuple[str, int]:
    return said.annotation.url, said.annotation.project


def _answer(said: _Said, marked: _Said | None) -> Answer:
    """An answer; a correction of one that was given by marks has their time, which others' answers come after."""
    assert said.pair
    assert said.says
    first = (marked or said).annotation
    made = first.created or first.updated
    return Answer(said.pair, said.person, said.says, "person", first.seconds, made, said.photo)


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _short(value: object) -> str:
    try:
        text = value if isinstance(value, str) else repr(value)
    except RecursionError:
        text = "nested too deeply"
    return f'"{text[:40]}{"…" if len(text) > 40 else ""}"'
