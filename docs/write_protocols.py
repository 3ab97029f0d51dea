"""Write the parts of docs/protocols.md that come from the code. A test checks that they are up to date."""

from collections.abc import Iterator
from pathlib import Path

from da2k.protocols import DenseProtocol, protocol, protocol_names
from da2k.protocols.described import STATUS, Axis, common_axes, dataset_axes
from da2k.protocols.fields import field_table

PAGE = Path(__file__).with_name("protocols.md")
FIELDS = "<!-- The fields, written by make docs. -->"
FIELDS_END = "<!-- End of the fields. -->"
EXTENDS = (
    "extends",
    "text; may be left out",
    "a protocol that comes with da2k; all that is not said here is as there, and only name is then needed",
)
BEGIN = "<!-- From here on written by make docs from the records. -->"


def page(own_part: str) -> str:
    """The text of docs/protocols.md: the hand-written part with the fields in it up to the marker, then the records."""
    records = [protocol(name) for name in protocol_names()]
    dense = [record for record in records if isinstance(record, DenseProtocol)]
    by_hand = own_part.partition(BEGIN)[0]
    before, after = by_hand.partition(FIELDS)[0], by_hand.partition(FIELDS_END)[2]
    written = "\n".join([FIELDS, "", *fields(), "", FIELDS_END])
    return "\n".join([before + written + after + BEGIN, "", *(line for record in dense for line in section(record))])


def fields() -> Iterator[str]:
    """The fields of a record as a table."""
    yield "| field | type | meaning |"
    yield "|---|---|---|"
    for name, kind, meaning in [EXTENDS, *field_table(DenseProtocol)]:
        yield f"| `{name}` | {kind} | {meaning} |"


def section(record: DenseProtocol) -> Iterator[str]:
    """One protocol: what it pins, where each choice comes from, what is unknown."""
    yield f"## {record.name}\n"
    yield f"{record.title}. Version {record.version}, digest `{record.digest}`.\n"
    yield from table("For all datasets", common_axes(record))
    yield f"Source: {record.source}\n"
    for dataset, rules in record.datasets.items():
        yield f"### {record.name}: {dataset}\n"
        yield (
            " ".join(filter(None, [f"**{sentence(STATUS[rules.status])}**", rules.note and sentence(rules.note)]))
            + "\n"
        )
        yield from table("Choice", dataset_axes(record, dataset))
        yield from anchors(record, dataset)
    yield f"### {record.name}: unknown\n"
    yield from (f"- {text}" for text in record.unknown)
    yield ""


def table(title: str, axes: list[Axis]) -> Iterator[str]:
    """Axes as a table; the column of sources is left out where there are none."""
    sourced = any(axis.evidence for axis in axes)
    yield f"| | {title} | |" + (" From |" if sourced else "")
    yield "|---|---|---|" + ("---|" if sourced else "")
    for axis in axes:
        cells = [
            str(axis.number),
            f"{axis.name} ({', '.join(f'`{field}`' for field in axis.field.split(', '))})",
            axis.text,
            *([axis.evidence or ""] if sourced else []),
        ]
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""


def anchors(record: DenseProtocol, dataset: str) -> Iterator[str]:
    """The published numbers that somebody met, and how many nobody did."""
    own = [anchor for anchor in record.anchors if anchor.dataset == dataset]
    matched = [anchor for anchor in own if anchor.tier == "match"]
    for anchor in matched:
        yield (
            f"- match: {anchor.model}, {anchor.metric} {anchor.value:g} ({anchor.source}); "
            f"within {anchor.tolerance:g}: {anchor.reproduced}"
        )
    if len(own) > len(matched):
        yield (
            f"- target: {len(own) - len(matched)} published numbers that nobody is known to have met; "
            f"`da2k protocols show {record.name}` prints them"
        )
    yield from [""] if own else []


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
