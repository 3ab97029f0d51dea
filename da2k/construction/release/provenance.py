"""What lies behind the pairs of a release: votes, who decided, how hard it was. Rows, and the tables they make.

Neither the names of people nor folders of the machine are in them.
"""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from da2k.construction.decisions import Answer, Decision
from da2k.construction.queue import DrawnPair
from da2k.construction.settings import ExpertSettings, digest
from da2k.pairs import Pair, Point

EXACT = "exact-depth"
"""Stands for people in `decided_by` where the depth was known."""


@dataclass(frozen=True, slots=True)
class DecidedPair:
    """A pair on which people, or a known depth, have come to an end.

    Attributes:
        drawn: the pair, with what the experts say.
        decision: what people say; kept or dropped.
        decided_by: pseudonyms of those whose answers the decision rests on.
        reason: why it is not in the release; None for a released pair.
    """

    drawn: DrawnPair
    decision: Decision
    decided_by: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def truth(self) -> Literal[0, 1, 2]:
        """The closer point, 1 or 2; 0 if nobody could tell."""
        return {"point1": 1, "point2": 2, None: 0}[self.decision.closer]  # type: ignore[return-value]

    @property
    def pair(self) -> Pair:
        """The pair with its answer, the closer point first; only of a pair whose `truth` is known."""
        points: tuple[Point, Point] = self.drawn.point1, self.drawn.point2
        return Pair(self.drawn.image, points[self.truth - 1], points[2 - self.truth], 1)

    @property
    def experts_right(self) -> int | None:
        """Experts whose vote is the truth; None where no expert was asked or the truth is not known."""
        return self.drawn.votes.count(self.truth) if self.drawn.votes and self.truth else None

    @property
    def difficulty(self) -> float | None:
        """The share of all experts, those without a vote included, that did not say the truth.

        0, all said it, to 1, none did; None where `experts_right` is None.
        """
        right = self.experts_right
        return None if right is None else 1 - right / len(self.drawn.votes)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: its name.
        kind: of its values; "texts" is a list of texts, "votes" a list of structs of two texts, `expert` and `vote`.
        meaning: one sentence.
    """

    name: str
    kind: Literal["text", "integer", "number", "boolean", "texts", "votes"]
    meaning: str


_WHICH = (
    Column("pair", "text", "Name of the pair; it does not depend on the order of its points."),
    Column("image", "text", "Path of the photograph, images/<scenario>/<file>."),
    Column("scenario", "text", "Scenario of the photograph."),
)
_OUTCOME = Column(
    "outcome", "text", "How the pair was found: disputed or unanimous among the experts, or manual, chosen by a person."
)
_RATIO = Column("ratio", "number", "Predicted depth ratio that the ratio rule compared; empty for manual pairs.")
_AUDITED = Column("audited", "boolean", "Whether it is a unanimous pair that people were asked about all the same.")
_ANSWERS = Column("answers", "integer", "Answers that the decision rests on.")
_AGREE = Column("agree", "integer", "Of those, answers that say what was decided.")

RELEASED_COLUMNS = (
    *_WHICH,
    Column("closer_row", "integer", "Row of the closer point, from 0 at the top of the upright photograph."),
    Column("closer_col", "integer", "Column of the closer point, from 0 at the left."),
    Column("farther_row", "integer", "Row of the farther point."),
    Column("farther_col", "integer", "Column of the farther point."),
    _OUTCOME,
    Column("votes", "votes", "The point that each expert says is closer: closer (right), farther (wrong), or none."),
    Column("experts_right", "integer", "Experts whose vote is right; empty for manual pairs."),
    Column("difficulty", "number", "Share of all experts, with or without a vote, that did not say the truth; 0 to 1."),
    _RATIO,
    Column("decided_by", "texts", f"Pseudonyms of those who answered, or {EXACT} for a known depth."),
    _ANSWERS,
    _AGREE,
    _AUDITED,
)
"""`provenance.parquet`: one row a released pair, in the order of `annotations.json`."""

LEFT_OUT_COLUMNS = (
    *_WHICH,
    Column("row1", "integer", "Row of point 1, the first of the two in reading order."),
    Column("col1", "integer", "Column of point 1."),
    Column("row2", "integer", "Row of point 2."),
    Column("col2", "integer", "Column of point 2."),
    _OUTCOME,
    Column("votes", "votes", "The point that each expert says is closer: point1, point2, or none."),
    _RATIO,
    Column("decided_by", "texts", f"Pseudonyms of those who answered, or {EXACT} for a known depth."),
    _ANSWERS,
    Column("agree", "integer", "Of those, answers that say what was decided, or that gave the reason."),
    _AUDITED,
    Column("closer", "text", "point1 or point2, the closer one; empty if people could not decide."),
    Column(
        "reason",
        "text",
        "Why it is not released: bad sample, cannot tell, people disagree, or audited (only measured).",
    ),
)
"""`left-out.parquet`: one row a pair that people decided or dropped and that is not released."""


def released_table(pairs: Iterable[DecidedPair], experts: Sequence[str]) -> bytes:
    """`provenance.parquet`; the same rows give the same bytes."""
    says = {True: "closer", False: "farther"}
    return _parquet(
        (
            _common(each)
            | {
                "closer_row": each.pair.point1.row,
                "closer_col": each.pair.point1.col,
                "farther_row": each.pair.point2.row,
                "farther_col": each.pair.point2.col,
                "experts_right": each.experts_right,
                "difficulty": each.difficulty,
                "votes": _votes(each, experts, [says[vote == each.truth] for vote in each.drawn.votes]),
            }
            for each in pairs
        ),
        RELEASED_COLUMNS,
    )


def left_out_table(pairs: Iterable[DecidedPair], experts: Sequence[str]) -> bytes:
    """`left-out.parquet`; the same rows give the same bytes."""
    return _parquet(
        (
            _common(each)
            | {
                "row1": each.drawn.point1.row,
                "col1": each.drawn.point1.col,
                "row2": each.drawn.point2.row,
                "col2": each.drawn.point2.col,
                "closer": each.decision.closer,
                "reason": each.reason,
                "votes": _votes(each, experts, [f"point{vote}" for vote in each.drawn.votes]),
            }
            for each in pairs
        ),
        LEFT_OUT_COLUMNS,
    )


def pseudonyms(answers: Iterable[Answer], seed: int) -> dict[str, str]:
    """A name for each person, "annotator-1" and so on, the same for the same answers.

    Their order is that of hashes over all answers, with the times they took, which are not published: who knows
    the names and the seed cannot number them again.
    """
    given = sorted((a.pair, a.person, a.says, a.source, str(a.seconds), str(a.given), str(a.photo)) for a in answers)
    salt = digest(seed, given)
    people = sorted({row[1] for row in given if row[3] != "exact"}, key=lambda person: digest(salt, person))
    return {person: f"annotator-{number}" for number, person in enumerate(people, 1)}


def decided_by(answers: Sequence[Answer], names: Mapping[str, str]) -> tuple[str, ...]:
    """Whose answers a decision rests on: a known depth decides alone, else all who answered."""
    if any(answer.source == "exact" for answer in answers):
        return (EXACT,)
    return tuple(sorted((names[answer.person] for answer in answers), key=lambda name: (len(name), name)))


def public_names(experts: Iterable[ExpertSettings]) -> tuple[str, ...]:
    """The experts' names without the folders that their files lie in on this machine, all different."""
    names: list[str] = []
    for expert in experts:
        options = (f" {key}={_without_folders(value)}" for key, value in sorted(expert.options.items()))
        name = _without_folders(expert.model) + "".join(options)
        alike = sum(other == name or other.startswith(f"{name} (") for other in names)
        names.append(f"{name} ({alike + 1})" if alike else name)
    return tuple(names)


def _without_folders(text: str) -> str:
    """`onnx:/home/ann/net.onnx` as `onnx:net.onnx`; relative paths, hub names and addresses stay.

    >>> _without_folders("python:/home/ann/my net.py:make"), _without_folders("hf:org/name")
    ('python:my net.py:make', 'hf:org/name')
    """
    if "://" in text:
        return text
    return re.sub(r"(?:(?<=:)|(?<=^))(?:~[^/\\:]*|[A-Za-z]:)?[/\\](?:[^/\\:]*[/\\])*", "", text.rstrip("/\\"))


def _common(each: DecidedPair) -> dict[str, Any]:
    drawn = each.drawn
    return {
        "pair": drawn.id,
        "image": drawn.image,
        "scenario": drawn.scenario,
        "outcome": drawn.outcome,
        "ratio": drawn.ratio,
        "audited": drawn.audited,
        "decided_by": list(each.decided_by),
        "answers": each.decision.answers,
        "agree": each.decision.agree,
    }


def _votes(each: DecidedPair, experts: Sequence[str], said: Sequence[str]) -> list[dict[str, str]]:
    votes = each.drawn.votes
    if not votes:
        return []
    return [
        {"expert": expert, "vote": word if vote else "none"}
        for expert, vote, word in zip(experts, votes, said, strict=True)
    ]


def _parquet(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types: dict[str, pa.DataType] = {
        "text": pa.string(),
        "integer": pa.int32(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
        "texts": pa.list_(pa.string()),
        "votes": pa.list_(pa.struct([("expert", pa.string()), ("vote", pa.string())])),
    }
    schema = pa.schema([(column.name, types[column.kind]) for column in columns])
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), buffer)
    return buffer.getvalue()
