"""`da2k demo`."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Where to write the scenes and the results.")] = Path("demo"),
) -> None:
    """Score the baselines on built-in scenes.

    The scenes are ray-cast, so their depth is exact. Offline, no weights, under a minute.

    Example: da2k demo --out demo/
    """
    from da2k.cli.progress import progress
    from da2k.cli.tables import interval, percent, print_table
    from da2k.evaluation.demo import run_demo

    with progress("demo") as show:
        results = run_demo(out, show)
    benchmark = results[0].benchmark
    typer.echo(f"{benchmark.images} ray-cast scenes, {benchmark.pairs} pairs; accuracy in per cent")
    rows = [
        [scenario, str(counts.total), *(percent(r.scenarios[scenario].accuracy) for r in results)]
        for scenario, counts in results[0].scenarios.items()
    ]
    rows.append(["overall", str(benchmark.pairs), *(percent(r.accuracy.micro) for r in results)])
    rows.append(["95 % interval", "", *(interval(r.accuracy.interval) for r in results)])
    print_table(["scenario", "pairs", *(r.model.name for r in results)], rows, last_apart=2)
    typer.echo(f"scenes: {out / 'benchmark'}\nresults: {out / 'results'}")
    typer.echo(f"score your own model: da2k evaluate MODEL --benchmark {out / 'benchmark'}")
