"""`da2k protocols list` and `show`."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from da2k.protocols import DenseProtocol, OrderingProtocol
    from da2k.protocols.described import Axis

app = typer.Typer(help="The scoring rules that can be named.", no_args_is_help=True, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

_WIDTH = 100
_MARKS = {"match": "", "unreproduced": "*", "unavailable": "†", "unanchored": "°"}
_LETTERS = {"metric_depth": "M", "scale_invariant_depth": "S", "affine_depth": "A", "affine_disparity": "D"}


@app.command("list")
def list_protocols(json: Json = False) -> None:
    """List the protocols that come with da2k, what each takes, and for which benchmarks.

    Example: da2k protocols list
    """
    from json import dumps

    from da2k.cli.tables import print_table
    from da2k.protocols import protocol, protocol_names

    records = [protocol(name) for name in protocol_names()]
    if json:
        typer.echo(dumps({record.name: _summary(record) for record in records}, indent=1))
        return
    rows = [row for record in records for row in _rows(record)]
    print_table(["protocol", "version", "benchmarks", "aligns", "metrics in", "takes"], rows, text=6)
    typer.echo(f"takes: {', '.join(f'{letter} {kind}' for kind, letter in _LETTERS.items())}")
    typer.echo("* nobody is known to have reproduced a published number   ° no number is published   † cannot be run")
    typer.echo("One's own: a YAML file with extends; see docs/protocols.md")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A name from `da2k protocols list`, or a YAML file.", show_default=False)],
    json: Json = False,
) -> None:
    """Print every choice of a protocol, where each comes from, and the published numbers.

    The lines are numbered by the fifteen things that have to be equal before two numbers can be compared, and name the
    fields of a record of one's own in brackets.

    Example: da2k protocols show dav2-table2
    """
    from json import dumps

    from da2k.protocols import DenseProtocol, protocol

    record = protocol(name)
    if json:
        typer.echo(dumps({**record.model_dump(mode="json"), "digest": record.digest}, indent=1))
    elif isinstance(record, DenseProtocol):
        _print_dense(record)
    else:
        for key, value in {**record.model_dump(mode="json"), "digest": record.digest}.items():
            typer.echo(f"{key + ':':<12} {value}")


def _rows(record: "DenseProtocol | OrderingProtocol") -> list[list[str]]:
    """The lines of a protocol in the list: more than one if its benchmarks fill more than one."""
    from textwrap import wrap

    from da2k.protocols import DenseProtocol
    from da2k.protocols.described import kinds_taken

    if not isinstance(record, DenseProtocol):
        return [[record.name, str(record.version), "pairs of points", "nothing", "order", " ".join(_LETTERS.values())]]
    sets = " ".join(f"{name}{_MARKS[rules.status]}" for name, rules in record.datasets.items())
    first, *more = wrap(sets, 42, break_on_hyphens=False)
    letters = " ".join(_LETTERS[kind] for kind in kinds_taken(record))
    rest = [_aligned(record), record.metrics_in, letters]
    return [[record.name, str(record.version), first, *rest], *(["", "", line, "", "", ""] for line in more)]


def _summary(record: "DenseProtocol | OrderingProtocol") -> dict[str, object]:
    from da2k.protocols import DenseProtocol
    from da2k.protocols.described import kinds_taken

    named: dict[str, object] = {"task": record.task, "version": record.version, "digest": record.digest}
    if not isinstance(record, DenseProtocol):
        return {**named, "aligns": "nothing", "metrics_in": "order", "kinds": list(_LETTERS)}
    return {
        **named,
        "title": record.title,
        "aligns": _aligned(record),
        "metrics_in": record.metrics_in,
        "metrics": list(record.metrics),
        "takes": record.alignment.takes,
        "kinds": list(kinds_taken(record)),
        "datasets": {name: rules.status for name, rules in record.datasets.items()},
    }


def _aligned(record: "DenseProtocol") -> str:
    return "nothing" if record.alignment.space == "none" else record.alignment.space


def _print_dense(record: "DenseProtocol") -> None:
    from da2k.protocols.described import STATUS, common_axes, dataset_axes

    typer.echo(f"{record.name}, version {record.version}: {record.title}")
    typer.echo(f"digest {record.digest}")
    for status, says in STATUS.items():
        sets = [name for name, rules in record.datasets.items() if rules.status == status]
        if sets:
            typer.echo(_wrapped(f"{', '.join(sets)}: {says}"))
    typer.echo("\nFor all datasets")
    _print_axes(common_axes(record))
    typer.echo(_wrapped(f"from: {record.source}", 5))
    for dataset, rules in record.datasets.items():
        typer.echo(f"\n{dataset}: {STATUS[rules.status]}")
        if rules.note:
            typer.echo(_wrapped(f"note: {rules.note}", 5))
        _print_axes(dataset_axes(record, dataset))
        _print_anchors(record, dataset)
    if record.unknown:
        typer.echo("\nUnknown")
        for text in record.unknown:
            typer.echo(_wrapped(f"- {text}", 2))


def _print_axes(axes: "list[Axis]") -> None:
    from da2k.protocols.described import OWN

    shown = None
    for i, axis in enumerate(axes):
        typer.echo(_wrapped(f"{axis.number:>3}  {axis.name} ({axis.field}): {axis.text}", 5, first=0))
        repeated = i + 1 < len(axes) and axes[i + 1].evidence == axis.evidence
        if axis.evidence == OWN:
            typer.echo(f"     {OWN}")
        elif axis.evidence and axis.evidence != shown and not repeated:
            typer.echo(_wrapped(f"from: {axis.evidence}", 11, first=5))
            shown = axis.evidence


def _print_anchors(record: "DenseProtocol", dataset: str) -> None:
    """The published numbers, a line a network, and below them what others got."""
    from da2k.cli.tables import print_table

    anchors = [anchor for anchor in record.anchors if anchor.dataset == dataset]
    if not anchors:
        typer.echo("     published: nothing for these choices")
        return
    metrics = [name for name in record.metrics if any(anchor.metric == name for anchor in anchors)]
    sources = list(dict.fromkeys(anchor.source for anchor in anchors))
    cells = {
        (anchor.model, sources.index(anchor.source), anchor.metric): f"{anchor.value:g} {anchor.tier}"
        for anchor in anchors
    }
    rows = [
        [model, *(cells.get((model, source, metric), "") for metric in metrics), f"[{source + 1}]"]
        for model, source in dict.fromkeys((model, source) for model, source, _ in cells)
    ]
    typer.echo("     published (match: a third party came within the tolerance; target: nobody is known to have)")
    print_table(["model", *metrics, "source"], rows, text=1)
    for i, source in enumerate(sources, 1):
        typer.echo(_wrapped(f"[{i}] {source}", 4, first=0))
    for anchor in anchors:
        if anchor.reproduced:
            within = f"match within {anchor.tolerance:g}" if anchor.tolerance is not None else "target"
            typer.echo(
                _wrapped(f"{anchor.model} {anchor.metric} {anchor.value:g}, {within}: got {anchor.reproduced}", 5)
            )


def _wrapped(text: str, indent: int = 0, first: int | None = None) -> str:
    from textwrap import fill

    start = " " * (indent if first is None else first)
    return fill(text, _WIDTH, initial_indent=start, subsequent_indent=" " * indent, break_on_hyphens=False)
