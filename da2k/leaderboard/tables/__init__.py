"""The leaderboard as CSV, JSON, Markdown and LaTeX, and each measured row as the hub's `.eval_results`."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from da2k.datasets.manifest import load_manifest
from da2k.files import write_text
from da2k.leaderboard.board import Placed, Release
from da2k.leaderboard.paired import Answers
from da2k.leaderboard.published import Published, PublishedDense
from da2k.leaderboard.tables.formats import csv_text, latex_text, markdown, markdown_link, markdown_text
from da2k.leaderboard.tables.lines import FLOOR, MEASURED, Line, lines
from da2k.metrics.dense import METRICS
from da2k.results import Counts

_HUB = "https://huggingface.co/datasets/"
_COMMIT = re.compile("[0-9a-f]{7,40}")
_FIELDS = ("section", "rank", "tier", "model", "revision", "key", "kind", "parameters", "licence", "url")
_SCORES = ("accuracy", "interval_low", "interval_high", "macro")
_COUNTS = tuple(Counts.model_fields)
_TESTS = ("p", "p_holm", "by_interval", "approximate", "images_per_second", "rescored", "source", "note")


def write_tables(
    release: Release, published: Published, folder: Path, answers: Answers | None = None
) -> tuple[Path, ...]:
    """Write leaderboard.csv, .json, .md and .tex, and eval_results/<key>.yaml for each row of the board.

    Where numbers on measured depth are published, they go into measured_depth.csv and .md.

    Args:
        release: what was measured.
        published: what others report; only what they report on this benchmark stands in its table.
        folder: is made if it is not there; files of these names are replaced.
        answers: of `da2k.leaderboard.paired.answers_of`, where they are at hand.

    Returns:
        The files.

    Raises:
        BadInput: a per-pair file is damaged, or the folder cannot be written to.
    """
    table = lines(release, published, answers)
    texts = {
        "leaderboard.csv": as_csv(release, table),
        "leaderboard.json": as_json(release, table, published),
        "leaderboard.md": as_markdown(release, table),
        "leaderboard.tex": as_latex(release, table),
    }
    if published.dense:
        texts |= {
            "measured_depth.csv": dense_csv(published.dense),
            "measured_depth.md": dense_markdown(published.dense),
        }
    hub = hub_dataset(release.name)
    texts |= {f"eval_results/{placed.key}.yaml": as_eval_results(placed, hub) for placed in release.rows}
    for name, text in texts.items():
        write_text(folder / name, text)
    return tuple(folder / name for name in texts)


def as_csv(release: Release, table: Sequence[Line]) -> str:
    """Every field of every line; shares in [0, 1], unknown cells empty."""
    titles = [*_FIELDS, *_SCORES, *_COUNTS, *_TESTS, *(f"accuracy_{name}" for name in release.scenarios)]
    rows = []
    for line in table:
        plain = [getattr(line, field) for field in (*_FIELDS, *_SCORES)]
        counts = [line.counts.get(field) for field in _COUNTS]
        tests = [getattr(line, field) for field in _TESTS]
        rows.append([_cell(value) for value in (*plain, *counts, *tests, *_by_scenario(release, line))])
    return csv_text(titles, rows)


def as_json(release: Release, table: Sequence[Line], published: Published) -> str:
    """Every field of every line, the release, and the published numbers on measured depth."""
    names = ("name", "revision", "digest", "protocol", "protocol_digest")
    content = {
        "schema_version": 1,
        "release": {name: getattr(release, name) for name in names} | {"scenarios": dict(release.scenarios)},
        "lines": [asdict(line) for line in table],
        "measured_depth": [number.model_dump(mode="json") for number in published.dense],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_markdown(release: Release, table: Sequence[Line]) -> str:
    """Accuracies in per cent: what was measured with its floors, and each source's numbers in a table of its own."""
    here = [line for line in table if line.section in (MEASURED, FLOOR)]
    titles = _titles(release)
    rows = [_markdown_row(release, line) for line in here]
    parts = [f"# {markdown(release.title)}\n", _LEGEND, markdown_text(titles, rows, text=3)]
    for (section, source, url), own in _sources(table).items():
        heading = f"## Published ({markdown(section)}), not measured here\n"
        said = f"Source: {markdown_link(source, url)}. Ranks by interval, within this source.\n"
        parts += [heading, said, markdown_text(titles, [_markdown_row(release, line) for line in own], text=3)]
        parts += [f"Note: {markdown(note)}\n" for note in dict.fromkeys(line.note for line in own if line.note)]
    return "\n".join(parts)


def as_latex(release: Release, table: Sequence[Line]) -> str:
    """Accuracies in per cent, as a `tabular` of booktabs; floors and each source's numbers stand apart."""
    groups: dict[str | None, list[Line]] = {None: [line for line in table if line.section == MEASURED]}
    groups["Floors, which know nothing of depth"] = [line for line in table if line.section == FLOOR]
    for (section, source, _), own in _sources(table).items():
        groups[f"Published ({section}), ranks by interval: {source}"] = own
    cells = {title: [_cells(release, line) for line in own] for title, own in groups.items()}
    head = "% Needs \\usepackage{booktabs}; names in other scripts than Latin need XeLaTeX or LuaLaTeX.\n"
    return head + latex_text(_titles(release), cells, text=3)


def hub_dataset(benchmark: str) -> str | None:
    """The id of a benchmark's repository on the hub, such as depth-anything/DA-2K; None where none is known."""
    entry = load_manifest().get(benchmark)
    return entry.url.removeprefix(_HUB) if entry is not None and entry.url.startswith(_HUB) else None


def as_eval_results(placed: Placed, hub: str | None) -> str:
    """A row as the hub's `.eval_results/*.yaml`, for the repository of the model: overall, then one entry a scenario.

    The fields are those of `huggingface_hub.EvalResultEntry`; values are shares in [0, 1], higher is better.

    Args:
        placed: the row.
        hub: of `hub_dataset`; where it is None, the benchmark's name stands in for it and a comment says so.
    """
    import yaml

    result = placed.row.result
    dataset = hub or result.benchmark.name
    how = (
        f"protocol {result.protocol.name} {result.protocol.digest[:12]}, labels {result.benchmark.digest[:12]}, "
        f"da2k {result.run.da2k_version}"
    )
    tasks: dict[str, tuple[float, Counts]] = {"overall": (result.accuracy.micro, result.counts)}
    tasks |= {name: (scenario.accuracy, scenario) for name, scenario in result.scenarios.items()}
    entries = [
        _eval_entry(
            dataset,
            result.benchmark.revision,
            task,
            value,
            result.run.started,
            placed.row.url,
            f"{counts.correct} of {counts.total} pairs; {how}",
        )
        for task, (value, counts) in tasks.items()
    ]
    text = str(yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=120))
    return text if hub else f"# {_UNKNOWN_ON_HUB}\n{text}"


def dense_csv(numbers: Sequence[PublishedDense]) -> str:
    """The published numbers on measured depth, one a line."""
    titles = [*PublishedDense.model_fields]
    return csv_text(titles, [[_cell(getattr(number, field)) for field in titles] for number in numbers])


def dense_markdown(numbers: Sequence[PublishedDense]) -> str:
    """The published numbers on measured depth, a table a source."""
    parts = ["# Published on measured depth, not measured here\n"]
    sources = dict.fromkeys((n.tier, n.source, n.source_url, n.protocol) for n in numbers)
    for tier, source, url, protocol in sources:
        own = [n for n in numbers if (n.tier, n.source, n.source_url, n.protocol) == (tier, source, url, protocol)]
        columns = list(dict.fromkeys((n.benchmark, n.metric) for n in own))
        values = {(n.model, n.benchmark, n.metric): f"{n.value:g}" for n in own}
        rows = [
            [markdown(model), *(values.get((model, *column), "–") for column in columns)]
            for model in dict.fromkeys(n.model for n in own)
        ]
        said = f"{tier}: {markdown_link(source, url)}; nearest protocol: {markdown(protocol)}.\n"
        titles = ["model", *(f"{benchmark} {metric}{_better(metric)}" for benchmark, metric in columns)]
        parts += [said, markdown_text(titles, rows)]
        parts += [f"Note: {markdown(note)}\n" for note in dict.fromkeys(n.note for n in own if n.note)]
    return "\n".join(parts)


_LEGEND = """Accuracy over all pairs and per scenario in per cent; higher is better. Ties, invalid and missing pairs
count as not correct. Models of one rank cannot be told apart from the best of them by a paired test (exact McNemar,
Holm, 5 %). Floors, without a rank, know nothing of depth.
"""
_UNKNOWN_ON_HUB = "dataset.id is the benchmark's name here; write the id that its repository has on the hub"


def _sources(table: Sequence[Line]) -> dict[tuple[str, str, str | None], list[Line]]:
    """The published lines by section, source and its address."""
    groups: dict[tuple[str, str, str | None], list[Line]] = {}
    for line in table:
        if line.source is not None:
            groups.setdefault((line.section, line.source, line.url), []).append(line)
    return groups


def _titles(release: Release) -> list[str]:
    return ["rank", "model", "origin", "accuracy", "95 % interval", "correct", "pairs", *release.scenarios]


def _cells(release: Release, line: Line) -> list[str]:
    """A line of the tables to read, as text."""
    about = "≈ " if line.approximate else ""
    return [
        _or_dash(line.rank),
        line.model if line.revision is None else f"{line.model} ({line.revision[:12]})",
        line.section,
        _percent(line.accuracy),
        f"{about}{100 * line.interval_low:.1f}–{100 * line.interval_high:.1f}",
        _or_dash(line.counts.get("correct")),
        _or_dash(line.counts.get("total")),
        *("–" if share is None else _percent(share) for share in _by_scenario(release, line)),
    ]


def _markdown_row(release: Release, line: Line) -> list[str]:
    rank_, model, *others = _cells(release, line)
    return [rank_, markdown_link(model, line.url if line.source is None else None), *map(markdown, others)]


def _by_scenario(release: Release, line: Line) -> Iterator[float | None]:
    return (line.scenarios.get(name) for name in release.scenarios)


def _eval_entry(
    dataset: str, revision: str | None, task: str, value: float, date: str, url: str | None, notes: str
) -> dict[str, Any]:
    """One entry; what is not known is left out, as the hub wants it."""
    commit = {"revision": revision} if revision and _COMMIT.fullmatch(revision) else {}
    about = {"id": dataset, "task_id": task} | commit
    source = {} if url is None else {"source": {"url": url}}
    when = {"date": date} if date else {}
    return {"dataset": about, "value": value, **when, **source, "notes": notes}


def _better(metric: str) -> str:
    better = METRICS[metric].better if metric in METRICS else None
    return {"lower": " ↓", "higher": " ↑", None: ""}[better]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _or_dash(number: int | None) -> str:
    return "–" if number is None else str(number)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
