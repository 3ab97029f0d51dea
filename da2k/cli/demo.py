"""`da2k demo`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from da2k.results import Result


def demo(
    out: Annotated[Path, typer.Option(help="Where to write everything.")] = Path("demo"),
) -> None:
    """Build a benchmark from built-in scenes, score the baselines on it, and make a leaderboard and a report.

    The scenes are ray-cast, so their depth is exact, and it answers in the place of people. Offline, no
    weights, under a minute.

    Example: da2k demo --out demo/
    """
    from da2k.cli.build_output import print_funnel
    from da2k.cli.progress import progress
    from da2k.construction.demo import BASELINES, CLEAR, run_demo
    from da2k.leaderboard.demo import show_results

    with progress("demo") as show:
        made = run_demo(out, show)
    scored = [out / "results" / f"{spec.split(':')[1]}.json" for spec in BASELINES]
    pages = show_results(out, [*scored, out / "results" / "exact_depth.json"], scored[0])
    typer.echo("1. The four baselines vote on pairs of key points in ray-cast scenes; disputed pairs are queued.")
    typer.echo("   No people took part: the exact depth of the scenes answered every queued pair in their place")
    typer.echo(f'   ("cannot tell" where the farther point is less than {CLEAR} times as far).\n')
    print_funnel(made.funnel, out / "workspace")
    typer.echo(f"\n2. The release holds {made.release.pairs} pairs. Accuracy on it, in per cent:\n")
    _print_scores(made.results)
    typer.echo("the pairs were chosen by the baselines' disputes: a score here says nothing about photographs\n")
    typer.echo(f"workspace: {out / 'workspace'}\nrelease: {made.release.folder}\nresults: {out / 'results'}")
    typer.echo(f"open the leaderboard: {pages.site}")
    typer.echo(f"open a report, of {BASELINES[0]}: {pages.report}")
    board = out / "leaderboard"
    typer.echo(f"add your model to it: da2k leaderboard add MAPS --benchmark {made.release.folder} --board {board}")
    typer.echo(f"score your own model: da2k evaluate MODEL --benchmark {made.release.folder}")
    typer.echo("build from your own photographs: da2k build init WORKSPACE PHOTOS")


def _print_scores(results: "tuple[Result, ...]") -> None:
    from da2k.cli.tables import interval, percent, print_table

    first = results[0]
    rows = [
        [scenario, str(counts.total), *(percent(r.scenarios[scenario].accuracy) for r in results)]
        for scenario, counts in first.scenarios.items()
    ]
    rows.append(["overall", str(first.benchmark.pairs), *(percent(r.accuracy.micro) for r in results)])
    rows.append(["95 % interval", "", *(interval(r.accuracy.interval) for r in results)])
    print_table(["scenario", "pairs", *(r.model.name for r in results)], rows, last_apart=2)
