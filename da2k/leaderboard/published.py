"""What papers and third parties report: shown beside what was measured here, and never ranked with it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from da2k.depth import DepthKind
from da2k.errors import BadInput
from da2k.files import load_yaml
from da2k.leaderboard.text import Name, Note, WebAddress, shown
from da2k.metrics.intervals import wilson
from da2k.results import Count, Share

if TYPE_CHECKING:
    import yaml

FILE = "published.yaml"
"""The file of published numbers in the board's folder."""

SourceTier = Literal["paper", "third party"]
_MOST_BYTES = 1_000_000
_DEEPEST = 10
"""So many lists and mappings may stand in each other; the file's own content has six."""
_PRINTED = 0.00051
"""How far an accuracy printed in per cent with one decimal, rounded once or twice, may be from its counts."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class PublishedRow(_Record):
    """A model's accuracy on pairs, as its source prints it.

    Attributes:
        model: as our tables call it.
        benchmark: the benchmark's name, as results have it.
        parameters: of the network.
        kind: what its maps mean.
        accuracy: share of all pairs in [0, 1]; correct / total where counts are known, else as printed.
        correct: exact number of pairs it has right; None where only a share is printed.
        total: pairs of the benchmark.
        scenarios: share by scenario, in [0, 1].
        scenario_counts: (correct, total) by scenario, where exact counts are known.
        tier: who says so.
        source: where it is printed.
        source_url: the same as an address.
        note: what one has to know to read the number.
    """

    model: Name
    benchmark: Name
    parameters: Count | None = None
    kind: DepthKind | None = None
    accuracy: Share
    correct: Count | None = None
    total: Annotated[int, Field(ge=1)]
    scenarios: dict[Name, Share] = {}
    scenario_counts: dict[Name, tuple[int, int]] = {}
    tier: SourceTier
    source: Note
    source_url: WebAddress | None = None
    note: Note | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.correct is not None and self.correct > self.total:
            raise ValueError(f"correct: {self.correct} of {self.total} pairs")
        if self.correct is not None and abs(self.accuracy - self.correct / self.total) > _PRINTED:
            raise ValueError(f"accuracy: {self.accuracy} is not {self.correct} / {self.total}")
        for name, (correct, total) in self.scenario_counts.items():
            if not 0 <= correct <= total or total == 0:
                raise ValueError(f"scenario_counts.{name}: {correct} of {total} pairs")
            if abs(self.scenarios.get(name, -1) - correct / total) > _PRINTED:
                raise ValueError(f"scenarios.{name}: is not {correct} / {total}")
        return self

    @property
    def approximate(self) -> bool:
        """Whether the number of correct pairs follows only from a rounded share."""
        return self.correct is None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval; of the nearest whole number of pairs where only a share is printed."""
        correct = round(self.accuracy * self.total) if self.correct is None else self.correct
        return wilson(correct, self.total)


class PublishedDense(_Record):
    """A number of a table on measured depth.

    Attributes:
        model: as our tables call it.
        benchmark: the dataset, under the name that the protocol gives it.
        protocol: of `da2k/protocols`; the one that comes nearest to what the source did.
        metric: of `da2k.metrics.dense.METRICS`.
        value: as printed; shares in [0, 1].
        parameters, kind, tier, source, source_url, note: as for `PublishedRow`.
    """

    model: Name
    benchmark: Name
    protocol: Name
    metric: Name
    value: float
    parameters: Count | None = None
    kind: DepthKind | None = None
    tier: SourceTier
    source: Note
    source_url: WebAddress | None = None
    note: Note | None = None


class Published(_Record):
    """All published numbers, in the order of the file."""

    rows: tuple[PublishedRow, ...] = ()
    dense: tuple[PublishedDense, ...] = ()

    def on(self, benchmark: str) -> tuple[PublishedRow, ...]:
        """The rows on the benchmark of this name."""
        return tuple(row for row in self.rows if row.benchmark == benchmark)


class _Model(_Record):
    model: Name
    parameters: Count | None = None
    kind: DepthKind | None = None
    note: Note | None = None


class _OrderingModel(_Model):
    accuracy: Share | None = None
    scenarios: dict[Name, Share] = {}
    correct: dict[Name, Count] = {}

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.correct and (self.accuracy is not None or self.scenarios):
            raise ValueError("give the exact counts as correct, or accuracy and scenarios as printed, not both")
        if not self.correct and self.accuracy is None:
            raise ValueError("accuracy: is missing; or give the exact counts as correct")
        return self


class _Source(_Record):
    tier: SourceTier
    source: Note
    source_url: WebAddress | None = None
    note: Note | None = None


class _OrderingSource(_Source):
    benchmark: Name
    pairs: dict[Name, Annotated[int, Field(ge=1)]]
    models: tuple[_OrderingModel, ...]

    def rows(self) -> list[PublishedRow]:
        return [self._row(model) for model in self.models]

    def _row(self, model: _OrderingModel) -> PublishedRow:
        total = sum(self.pairs.values())
        stated = model.model_dump(include={"model", "parameters", "kind", "accuracy", "scenarios"})
        if unknown := (set(model.scenarios) | set(model.correct)) - set(self.pairs):
            raise ValueError(f"{model.model}: {min(unknown)} is no scenario of pairs")
        if model.correct:
            if lacking := set(self.pairs) - set(model.correct):
                raise ValueError(f"{model.model}: correct: {min(lacking)} is missing")
            if over := [name for name, pairs in self.pairs.items() if model.correct[name] > pairs]:
                raise ValueError(f"{model.model}: correct.{over[0]}: is more than its {self.pairs[over[0]]} pairs")
            counts = {name: (model.correct[name], pairs) for name, pairs in self.pairs.items()}
            correct = sum(model.correct.values())
            stated["accuracy"] = correct / total
            stated["scenarios"] = {name: right / pairs for name, (right, pairs) in counts.items()}
            stated |= {"correct": correct, "scenario_counts": counts}
        return PublishedRow(**stated, total=total, benchmark=self.benchmark, **_said(self, model))


class _DenseModel(_Model):
    values: tuple[float, ...]


class _DenseSource(_Source):
    protocol: Name
    columns: tuple[tuple[Name, Name], ...]
    models: tuple[_DenseModel, ...]

    def numbers(self) -> list[PublishedDense]:
        return [number for model in self.models for number in self._numbers(model)]

    def _numbers(self, model: _DenseModel) -> list[PublishedDense]:
        if len(model.values) != len(self.columns):
            raise ValueError(f"{model.model}: {len(model.values)} values for {len(self.columns)} columns")
        return [
            PublishedDense(
                model=model.model,
                benchmark=benchmark,
                protocol=self.protocol,
                metric=metric,
                value=value,
                parameters=model.parameters,
                kind=model.kind,
                **_said(self, model),
            )
            for (benchmark, metric), value in zip(self.columns, model.values, strict=True)
        ]


class _File(_Record):
    schema_version: Literal[1]
    ordering: tuple[_OrderingSource, ...] = ()
    dense: tuple[_DenseSource, ...] = ()

    def published(self) -> Published:
        rows = tuple(row for source in self.ordering for row in source.rows())
        dense = tuple(number for source in self.dense for number in source.numbers())
        _require_once([(row.source, row.benchmark, row.model) for row in rows])
        _require_once([(d.source, d.protocol, d.benchmark, d.metric, d.model) for d in dense])
        return Published(rows=rows, dense=dense)


def load_published(board: Path) -> Published:
    """The published numbers of a board; none where it has no file of them.

    Raises:
        BadInput: the file is not as it has to be; the message names the field.
    """
    path = board / FILE
    if not path.is_file():
        return Published()
    try:
        with path.open("rb") as file:
            return _parse(file.read(_MOST_BYTES + 1))
    except OSError as e:
        raise BadInput(f"{path}: {e.strerror or e}") from None
    except ValueError as e:
        raise BadInput(f"{path}: {shown(' '.join(str(e).split()))}") from None


def _parse(data: bytes) -> Published:
    """What the file says.

    Raises:
        ValueError: it is not as it has to be.
    """
    import json

    import yaml

    try:
        _require_plain(data)
        # Strict, but of a text format: a list is a tuple, and a word is a kind.
        return _File.model_validate_json(json.dumps(load_yaml(data))).published()
    except yaml.YAMLError as e:
        raise ValueError(f"is no YAML: {e}") from None
    except ValidationError as e:
        first = e.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "(whole file)"
        raise ValueError(f"{shown(field, 100)}: {first['msg'].removeprefix('Value error, ')}") from None
    except TypeError as e:
        raise ValueError(str(e)) from None


def _require_plain(data: bytes) -> None:
    """Refuse what a small file could make large or deep, before anything is made of it.

    Raises:
        ValueError, yaml.YAMLError: it is too long, too deep, uses aliases, or is no YAML.
    """
    import yaml

    if len(data) > _MOST_BYTES:
        raise ValueError(f"has more than the {_MOST_BYTES:,} bytes that are allowed")
    depth = 0
    for event in yaml.parse(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"{_where(event)}has a YAML alias (*NAME); write the values out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ValueError(f"{_where(event)}has more than {_DEEPEST} lists or mappings in another")


def _where(event: "yaml.Event") -> str:
    return "" if event.start_mark is None else f"line {event.start_mark.line + 1}: "


def _said(source: _Source, model: _Model) -> dict[str, Any]:
    """Who says so, and the remarks on the whole source and on the model in one."""
    remarks = [note for note in (model.note, source.note) if note]
    note = "; ".join(remarks) or None
    return {"tier": source.tier, "source": source.source, "source_url": source.source_url, "note": note}


def _require_once(keys: list[tuple[str, ...]]) -> None:
    seen: set[tuple[str, ...]] = set()
    for key in keys:
        if key in seen:
            raise ValueError(f"{key[-1]}: is given twice for {', '.join(key[:-1])}")
        seen.add(key)
