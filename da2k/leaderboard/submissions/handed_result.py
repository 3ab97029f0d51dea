"""A result file of a stranger: every field, every count, and the rows it was made of."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from da2k.datasets.da2k import Benchmark
from da2k.errors import BadInput
from da2k.leaderboard.rows import Row
from da2k.leaderboard.submissions.handed_row import below_result, is_row, place_problems
from da2k.leaderboard.submissions.maps import MOST_PARAMETERS
from da2k.leaderboard.submissions.pair_rows import count_problems, read_pair_rows, row_problems
from da2k.leaderboard.submissions.problems import Problem, capped, field_problems, text_problems
from da2k.leaderboard.submissions.rows_reader import AGAIN, RowList
from da2k.leaderboard.text import LINE_LENGTH, Name, Note, shown, unseen
from da2k.metrics.intervals import wilson
from da2k.metrics.ordering import accuracy
from da2k.protocols import OrderingProtocol
from da2k.results import Accuracy, Counts, ModelRecord, Result, Rows, Scenario

RESULT_BYTES = 1 << 22
"""The largest result file; that of a model which failed on every image of DA-2K has 0.3 MB."""
SLOWEST, FASTEST = 1e-6, 1e6
"""Images per second: from two weeks for one image to more than any memory hands over."""

RecordT = TypeVar("RecordT", bound=BaseModel)


@dataclass(frozen=True)
class Handed:
    """What stands in a file that was handed in.

    Attributes:
        result: None if there is none, or none that is sound in itself.
        rows: its rows.
        problems: everything that is wrong.
        told: `licence`, `url` and `note`, where the file is a row of a board.
    """

    result: Result | None
    rows: RowList
    problems: list[Problem]
    told: Mapping[str, str | None]


def check_result(file: Path, benchmark: Benchmark, rules: OrderingProtocol) -> Handed:
    """A result, or a row of a board with the result in it, and everything that is wrong with it.

    Raises:
        BadInput: the file cannot be read.
    """
    text, content, problems = _content(file)
    if content is None:
        return Handed(None, [], problems, {})
    record = Row if is_row(content) else Result
    inner = _mapping(content["result"]) if record is Row else content
    if "metrics" in inner:
        what = "is a result against measured depth, and the leaderboard is of pairs of points"
        todo = "hand in a result of da2k evaluate on the benchmark"
        return Handed(None, [], [Problem(file.name, "", what, todo)], {})
    read, whole = None, []
    try:
        read = record.model_validate_json(text)
    except ValidationError as e:
        found = list(field_problems(e, record, file.name))
        problems += capped((problem for problem in found if problem.field), file.name, "fields that are wrong")
        whole = [problem for problem in found if not problem.field]
    contradictions = [*_contradictions(inner, rules, file.name), *_of_another_release(inner, benchmark, file.name)]
    texts = list(capped(_texts(inner, file.name), file.name, "texts that are refused"))
    rows, row_faults = _rows(inner, file, benchmark)
    ours = [*contradictions, *_protocol_problems(inner, rules, file.name), *texts, *row_faults]
    # What a record says of itself as a whole is told here by its fields, where it can be.
    told_already = contradictions or (texts if record is Row else [])
    problems += [] if told_already else whole
    if isinstance(read, Row):
        problems += place_problems(read, file)
        told = {name: getattr(read, name) for name in ("licence", "url", "note")}
        return Handed(read.result, rows, problems + below_result(ours, file.name), told)
    return Handed(read, rows, problems + (below_result(ours, file.name) if record is Row else ours), {})


def _content(file: Path) -> tuple[bytes, dict[str, Any] | None, list[Problem]]:
    try:
        with file.open("rb") as f:
            text = f.read(RESULT_BYTES + 1)
    except OSError as e:
        raise BadInput(f"{file}: {e.strerror or e}") from None
    if len(text) > RESULT_BYTES:
        return b"", None, [Problem(file.name, "", f"has more than the {RESULT_BYTES:,} bytes that are read", AGAIN)]
    twice: list[str] = []

    def once(items: list[tuple[str, Any]]) -> dict[str, Any]:
        twice.extend(key for key, count in Counter(key for key, _ in items).items() if count > 1)
        return dict(items)

    try:
        content = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as e:
        return text, None, [Problem(file.name, "", f"cannot be read as JSON ({e})", AGAIN)]
    if not isinstance(content, dict):
        return text, None, [Problem(file.name, "", "holds no fields", AGAIN)]
    faults = (Problem(file.name, key, "stands twice in one object", "keep one") for key in twice)
    return text, content, list(capped(faults, file.name, "repeated fields"))


def _part(record: type[RecordT], content: object) -> RecordT | None:
    """A part of the result where it is sound in itself."""
    try:
        return record.model_validate_json(json.dumps(content))
    except (ValueError, RecursionError):
        return None


def _contradictions(content: Mapping[str, Any], rules: OrderingProtocol, file: str) -> Iterator[Problem]:
    """Where numbers do not follow from counts."""
    counts, shares = _part(Counts, content.get("counts")), _part(Accuracy, content.get("accuracy"))
    scenarios = {name: _part(Scenario, each) for name, each in _mapping(content.get("scenarios")).items()}
    sound = {name: each for name, each in scenarios.items() if each is not None and each.total}
    for name, each in scenarios.items():
        if each is not None and not each.total:
            yield Problem(file, f"scenarios.{name}.total", "is 0", "leave a scenario without pairs out")
    stated: dict[str, tuple[float, float]] = {}
    for name, each in sound.items():
        stated[f"scenarios.{name}.accuracy"] = each.accuracy, accuracy(each)
        low, high = wilson(each.correct, each.total, rules.level)
        stated |= {f"scenarios.{name}.interval.0": (each.interval[0], low)}
        stated |= {f"scenarios.{name}.interval.1": (each.interval[1], high)}
    if shares and counts and counts.total:
        low, high = wilson(counts.correct, counts.total, rules.level)
        stated |= {"accuracy.micro": (shares.micro, accuracy(counts))}
        stated |= {"accuracy.interval.0": (shares.interval[0], low), "accuracy.interval.1": (shares.interval[1], high)}
        stated |= {"accuracy.level": (shares.level, rules.level)}
    if shares and sound and len(sound) == len(scenarios):
        stated["accuracy.macro"] = shares.macro, sum(map(accuracy, sound.values())) / len(sound)
    for field, (given, follows) in stated.items():
        if abs(given - follows) > 1e-9:
            yield Problem(file, field, f"is {given:.9g}, and {follows:.9g} follows from the counts", AGAIN)
    if counts and sound and len(sound) == len(scenarios):
        for field in Counts.model_fields:
            total = sum(getattr(each, field) for each in sound.values())
            if total != getattr(counts, field):
                what = f"is {getattr(counts, field)}, and the scenarios add up to {total}"
                yield Problem(file, f"counts.{field}", what, AGAIN)


def _of_another_release(content: Mapping[str, Any], benchmark: Benchmark, file: str) -> Iterator[Problem]:
    """What says that other labels were scored. The name may be another: a folder may be called as one likes."""
    stated = _mapping(content.get("benchmark"))
    known: dict[str, object] = {"images": len(benchmark.images), "pairs": len(benchmark.pairs), "partial": False}
    known |= {"digest": benchmark.digest, "revision": stated.get("revision") and benchmark.revision}
    for field, ours in known.items():
        theirs = stated.get(field, ours)
        if theirs != ours:
            said = f"{benchmark.name} has {ours}" if ours is not None else f"{benchmark.name} has none"
            what = f"is {shown(str(theirs), 70)}, and {said}: another release, or a part"
            yield Problem(file, f"benchmark.{field}", what, "evaluate on the release that the leaderboard is of")


def _protocol_problems(content: Mapping[str, Any], rules: OrderingProtocol, file: str) -> Iterator[Problem]:
    stated = _mapping(content.get("protocol"))
    for field, ours in (("name", rules.name), ("digest", rules.digest)):
        theirs = stated.get(field, ours)
        if theirs != ours:
            what = f"is {shown(str(theirs), 70)}, and the rules here have {ours}"
            yield Problem(file, f"protocol.{field}", what, "evaluate by the rules of this version of da2k")


def _texts(content: Mapping[str, Any], file: str) -> Iterator[Problem]:
    """What a page would show and must not, and what no evaluation writes."""
    model = _mapping(content.get("model"))
    told = {field: text for field, text in model.items() if isinstance(text, str) and field in ModelRecord.model_fields}
    named = {f"model.{field}": told[field] for field in ("name", "revision") if field in told}
    yield from text_problems(Name, named, file)
    if "preprocessing" in told:
        yield from text_problems(Note, {"model.preprocessing": told["preprocessing"]}, file)
    name, spec = told.get("name", ""), told.get("spec", "")
    if name.startswith("baseline:") and name != spec:
        yield Problem(file, "model.name", "begins with baseline:, which names the floors", "choose another")
    if isinstance(model.get("parameters"), int) and model["parameters"] > MOST_PARAMETERS:
        yield Problem(file, "model.parameters", "no network has so many", "give the number of its weights")
    speed = _mapping(content.get("run")).get("images_per_second")
    if isinstance(speed, int | float) and not SLOWEST <= speed <= FASTEST:
        what = f"is {shown(repr(speed), 30)}, and no device is so {'slow' if speed < SLOWEST else 'fast'}"
        yield Problem(file, "run.images_per_second", what, "give what da2k evaluate measured, or null")
    for field, text in _strings(content):
        if field not in (*named, "model.preprocessing"):
            if hidden := unseen(text):
                yield Problem(file, field, f"holds the character {hidden}, which cannot be seen", "leave it out")
            elif len(text) > LINE_LENGTH:
                yield Problem(file, field, f"has {len(text):,} characters, {LINE_LENGTH:,} at most", "shorten it")


def _strings(content: object) -> Iterator[tuple[str, str]]:
    """Every text in the file with its field; a name of a field is text of that field too."""
    stack: list[tuple[str, object]] = [("", content)]
    while stack:
        field, value = stack.pop()
        if isinstance(value, str):
            yield field, value
        elif isinstance(value, dict):
            for key, each in value.items():
                below = f"{field}.{key[:100]}" if field else key[:100]
                yield below, key
                stack.append((below, each))
        elif isinstance(value, list):
            stack += [(f"{field}.{number}", each) for number, each in enumerate(value)]


def _rows(content: Mapping[str, Any], file: Path, benchmark: Benchmark) -> tuple[RowList, list[Problem]]:
    stated = _part(Rows, content.get("rows"))
    if stated is None:
        if content.get("rows") is not None:
            return [], []  # told as a field that is wrong
        return [], [Problem(file.name, "rows", "is missing: without its rows no count can be checked", AGAIN)]
    rows, problems = read_pair_rows(stated, file, len(benchmark.pairs))
    if rows is None:
        return [], problems
    problems += row_problems(rows, benchmark, stated.file)
    scenarios = {name: _part(Scenario, each) for name, each in _mapping(content.get("scenarios")).items()}
    problems += capped(count_problems(rows, scenarios, file.name), file.name, "counts that do not follow")
    kinds, kind = {row["kind"] for row in rows} - {None}, _mapping(content.get("model")).get("kind")
    if kinds and kind != (min(kinds) if len(kinds) == 1 else None):
        what = f"is {shown(str(kind), 60)}, and the rows are of {', '.join(sorted(shown(k, 60) for k in kinds))}"
        problems.append(Problem(file.name, "model.kind", what, AGAIN))
    problems += capped(_failure_problems(content, rows, file.name), file.name, "failures that do not follow")
    return rows, problems


def _failure_problems(content: Mapping[str, Any], rows: RowList, file: str) -> Iterator[Problem]:
    """The images that failed are those with a pair that is invalid or missing, each named once."""
    stated = content.get("failures", [])
    named = [str(_mapping(each).get("image")) for each in stated] if isinstance(stated, list) else []
    failed = {row["image"] for row in rows if row["outcome"] in ("invalid", "missing")}
    for image in sorted(image for image, count in Counter(named).items() if count > 1):
        yield Problem(file, "failures", f"{image} stands twice", AGAIN)
    for image in sorted(set(named) - failed):
        yield Problem(file, "failures", f"{image} did not fail by its rows", AGAIN)
    for image in sorted(failed - set(named)):
        yield Problem(file, "failures", f"{image} failed by its rows and is not named", AGAIN)


def _mapping(content: object) -> Mapping[str, Any]:
    return content if isinstance(content, dict) else {}
