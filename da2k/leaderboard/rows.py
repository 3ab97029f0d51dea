"""A row of the leaderboard: one model's result on one release of a benchmark, and what is known of the model."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, model_validator

from da2k.leaderboard.text import LINE_LENGTH, NAME_LENGTH, NOTE_LENGTH, Name, Note, WebAddress, shown, slug, unseen
from da2k.results import Result

ROW_VERSION: Literal[1] = 1
MOST_LISTED = 200
"""Entries of `scenarios`, `model.options`, `run.packages` and `warnings`, each."""
_RUN_TEXTS = ("da2k_version", "commit", "python", "device", "dtype")


class Row(BaseModel):
    """One row, as its file has it; the per-pair rows lie beside it.

    Texts of the result are bounded: names have at most 120 characters, remarks 500, lines such as warnings 1,000; none
    has a character that cannot be seen.

    Attributes:
        result: as `da2k evaluate` wrote it; `rows` names the per-pair file and its SHA-256. `run.started` is an ISO
            8601 date-time, or "" where the row does not say.
        rescored: True if the predictions were scored when the row was added, False if a result was handed in, of which
            only the counts could be recomputed from its per-pair rows.
        licence: of the weights, as the submitter states it.
        url: where the model is described.
        note: one line.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    schema_version: Literal[1]
    result: Result
    rescored: bool
    licence: Name | None = None
    url: WebAddress | None = None
    note: Note | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        """What a page shows of the result is text that can be seen, and not too much of it."""
        if self.result.rows is None:
            raise ValueError("result.rows: names no file of per-pair rows")
        if self.result.benchmark.partial:
            raise ValueError("result.benchmark.partial: a part of a benchmark has no place on the board")
        for field, count, most in _lists(self.result):
            if count > most:
                raise ValueError(f"result.{field}: has {count:,} entries; {most:,} at most")
        for each in _texts(self.result):
            _require_shown(each)
        _require_date_time(self.result.run.started)
        return self

    @property
    def place(self) -> tuple[str, str, str]:
        """Model folder, revision folder and file stem under `results/`: what tells rows apart."""
        model, benchmark = self.result.model, self.result.benchmark
        revision = model.revision or (model.weights_digest or "")[:12] or "unversioned"
        release = benchmark.revision or benchmark.digest[:12]
        stem = f"{slug(benchmark.name)}@{slug(release)}+{self.result.protocol.digest[:8]}"
        return slug(model.name), slug(revision), stem


class _Text(NamedTuple):
    field: str
    text: str | None
    longest: int
    may_be_empty: bool = False


def _lists(result: Result) -> Iterator[tuple[str, int, int]]:
    """What holds any number of entries: field, how many there are, and how many there may be."""
    yield "scenarios", len(result.scenarios), MOST_LISTED
    yield "model.options", len(result.model.options), MOST_LISTED
    yield "run.packages", len(result.run.packages), MOST_LISTED
    yield "warnings", len(result.warnings), MOST_LISTED
    yield "failures", len(result.failures), result.benchmark.images


def _texts(result: Result) -> Iterator[_Text]:
    """Every text of a result that no pattern bounds. Keys come first: they stand in the fields of their values."""
    model, benchmark, run = result.model, result.benchmark, result.run
    yield _Text("benchmark.name", benchmark.name, NAME_LENGTH)
    yield _Text("benchmark.revision", benchmark.revision, NOTE_LENGTH)
    yield _Text("protocol.name", result.protocol.name, NAME_LENGTH)
    yield _Text("model.name", model.name, NAME_LENGTH)
    yield _Text("model.spec", model.spec, LINE_LENGTH)
    yield _Text("model.revision", model.revision, NOTE_LENGTH)
    yield _Text("model.preprocessing", model.preprocessing, NOTE_LENGTH)
    for key, value in model.options.items():
        yield _Text("model.options", key, NAME_LENGTH)
        yield _Text(f"model.options.{key}", value, LINE_LENGTH, may_be_empty=True)
    for name in _RUN_TEXTS:
        yield _Text(f"run.{name}", getattr(run, name), NAME_LENGTH, may_be_empty=True)
    for key, value in run.packages.items():
        yield _Text("run.packages", key, NAME_LENGTH)
        yield _Text(f"run.packages.{key}", value, NAME_LENGTH)
    for name in result.scenarios:
        yield _Text("scenarios", name, NAME_LENGTH)
    for number, failure in enumerate(result.failures):
        yield _Text(f"failures.{number}.image", failure.image, LINE_LENGTH)
        yield _Text(f"failures.{number}.reason", failure.reason, LINE_LENGTH)
    for number, warning in enumerate(result.warnings):
        yield _Text(f"warnings.{number}", warning, LINE_LENGTH)
    yield _Text("rows.file", result.rows.file if result.rows else None, NOTE_LENGTH)


def _require_shown(given: _Text) -> None:
    field, text, longest, may_be_empty = given
    if text is None:
        return
    if hidden := unseen(text):
        raise ValueError(f"result.{field}: holds the character {hidden}, which cannot be seen")
    if len(text) > longest:
        raise ValueError(f"result.{field}: has {len(text):,} characters; {longest:,} at most")
    if not text.strip() and not may_be_empty:
        raise ValueError(f"result.{field}: is empty")


def _require_date_time(text: str) -> None:
    """Check `run.started`; its length too, since any number of digits may be a part of a second."""
    if not text:
        return
    try:
        is_one = len(text) <= NAME_LENGTH and "T" in text and bool(datetime.fromisoformat(text))
    except ValueError:
        is_one = False
    if not is_one:
        raise ValueError(
            f'result.run.started: "{shown(text, 60)}" is no ISO 8601 date-time such as 2026-01-02T03:04:05+00:00'
        )
