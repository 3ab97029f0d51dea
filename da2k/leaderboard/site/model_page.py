"""One page a model: where it stands on every release, and how it was measured."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import da2k
from da2k.leaderboard.pages import bounded, count, page, words
from da2k.leaderboard.ranking import ALPHA
from da2k.leaderboard.rows import Row
from da2k.leaderboard.site.figures import lowest
from da2k.leaderboard.site.row_files import ROWS, files
from da2k.leaderboard.site.standing import Standing
from da2k.leaderboard.site.views import UNSTATED, Axis, Line

_FEW = 12
"""Names in a sentence, and failures in a list."""


def model_pages(standings: Sequence[Standing]) -> Iterator[tuple[str, str]]:
    """One page a model and revision: its path in the site, and its text."""
    lines: dict[str, list[tuple[Standing, Line]]] = {}
    for standing in standings:
        for line in (*standing.models, *standing.floors):
            if line.page is not None:
                lines.setdefault(line.page, []).append((standing, line))
    for key, found in lines.items():
        first = found[0][1]
        assert first.placed is not None  # a line with a page is a row's
        row = first.placed.row
        text = page(
            "model.html.j2",
            version=da2k.__version__,
            name=row.result.model.name,
            row=row,
            floor=first.rank is None,
            facts=_facts(row),
            standings=[_standing(standing, line) for standing, line in found],
        )
        yield f"models/{key}.html", text


def _facts(row: Row) -> list[tuple[str, str]]:
    model = row.result.model
    facts = [("Maps", words(model.kind) if model.kind else UNSTATED), ("Parameters", count(model.parameters))]
    facts += [("Licence", row.licence or UNSTATED), ("Revision", (model.revision or UNSTATED)[:40])]
    return facts


def _standing(standing: Standing, line: Line) -> dict[str, Any]:
    assert line.placed is not None
    result = line.placed.row.result
    shared = [m.name for m in standing.models if m.rank == line.rank and m.page != line.page] if line.rank else []
    same, apart = _compared(standing, str(line.page))
    axis = Axis(lowest([counts.interval[0] for counts in result.scenarios.values()]))
    return {
        "title": standing.release.title,
        "protocol": bounded(standing.release.protocol),
        "entry": f"../{standing.place}data/eval_results/{line.page}.yaml",
        "address": f"../{standing.place}index.html",
        "files": [(f"../{ROWS}/{quote(f'{line.page}/{name}', safe='/@+')}", what) for name, what in files(line.placed)],
        "line": line,
        "counts": result.counts,
        "macro": result.accuracy.macro,
        "many": len(standing.models),
        "shared": _some(shared),
        "axis": axis,
        "bar": axis.bar(line.share, line.interval),
        "scenarios": [
            {
                "name": name,
                "address": f"../{standing.place}scenarios/{standing.pages[name]}.html",
                "counts": counts,
                "bar": axis.bar(counts.accuracy, counts.interval),
            }
            for name, counts in result.scenarios.items()
        ],
        "same": same[:_FEW],
        "same_left": max(0, len(same) - _FEW),
        "apart": apart,
        "record": _record(line.placed.row),
        "failures": [(bounded(f.image), bounded(f.reason)) for f in result.failures[:_FEW]],
        "failed": len(result.failures),
        "warnings": [bounded(text) for text in result.warnings[:_FEW]],
    }


def _compared(standing: Standing, key: str) -> tuple[list[str], int]:
    """The models that cannot be told apart from one, and how many can."""
    compared = standing.compared
    if key not in compared.keys:
        return [], 0
    i = compared.keys.index(key)
    others = [j for j in range(len(compared.keys)) if j != i]
    same = [standing.names[compared.keys[j]] for j in others if compared.p_holm[i, j] >= ALPHA]
    return same, len(others) - len(same)


def _some(names: list[str]) -> list[str]:
    left = len(names) - _FEW
    return names if left <= 0 else [*names[:_FEW], f"{left} more"]


def _record(row: Row) -> list[tuple[str, str]]:
    """How the numbers were made, as label and text; what is not known is left out."""
    result = row.result
    model, run = result.model, result.run
    speed = "" if run.images_per_second is None else f"{run.images_per_second:g} images per second"
    found = {
        "Model string": model.spec,
        "Options": ", ".join(f"{key}={value}" for key, value in model.options.items()),
        "Preprocessing": model.preprocessing,
        "Aspect": model.aspect,
        "Weights, SHA-256": model.weights_digest,
        "Device": f"{run.device}, {run.dtype}",
        "Speed": speed,
        "Seed": "" if run.seed is None else str(run.seed),
        "Started": run.started,
        "Scorer": f"da2k {run.da2k_version}" + (f", commit {run.commit}" if run.commit else ""),
        "Python": run.python,
        "Packages": ", ".join(f"{name} {version}" for name, version in run.packages.items()),
        "Protocol": f"{result.protocol.name} {result.protocol.digest}",
        "Labels, SHA-256": result.benchmark.digest,
        "Per-pair rows, SHA-256": result.rows.sha256 if result.rows else "",
    }
    return [(what, bounded(text)) for what, text in found.items() if text]
