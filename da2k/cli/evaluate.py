"""`da2k evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from da2k.cli.score import (
    BatchSize,
    Device,
    Dtype,
    Model,
    ModelOption,
    OwnList,
    Partial,
    Root,
    model_options,
    parse_batch_size,
    show_failures,
    warn,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from da2k.evaluation.dense import DenseEvaluation
    from da2k.evaluation.evaluate import Evaluation
    from da2k.protocols import DenseProtocol
    from da2k.results import DenseResult, Result, Run


def evaluate(
    model: Model,
    benchmark: Annotated[
        str,
        typer.Option(
            help="Of pairs: a name from `da2k data list`, or a folder with annotations.json and images/. "
            "Of measured depth: kitti, nyu, sintel, eth3d, diode, diode-indoor or diode-outdoor."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The result file; default: results/<benchmark>/<model>.json, for measured depth "
            "results/<benchmark>/<protocol>/<model>.json."
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="The scoring rules: a name of `da2k protocols list`, or a YAML file. Default for pairs: da2k. For "
            "measured depth one has to be named."
        ),
    ] = None,
    model_option: ModelOption = [],  # noqa: B006 - typer copies it
    device: Device = "auto",
    batch_size: BatchSize = "1",
    dtype: Dtype = None,
    root: Root = None,
    partial: Partial = False,
    own_list: OwnList = None,
    workers: Annotated[
        int, typer.Option(min=1, help="For measured depth: threads that read, align and compare beside the model.")
    ] = 1,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let the result replace one of another model or benchmark.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON instead of tables.")] = False,
) -> None:
    """Score a model on a benchmark.

    Prints accuracy per scenario and overall, or the errors against measured depth, with 95 % intervals, and writes
    the result and its rows, one a pair or one an image. A run that was interrupted is carried on by the same command.
    Exit code 1 if any pair or image could not be judged.

    Example: da2k evaluate depth-anything-v2-small --benchmark da2k
    """
    from functools import partial as given

    from da2k.cli.progress import progress
    from da2k.models.registry import load_model
    from da2k.protocols.dense import BENCHMARKS

    at_once = parse_batch_size(batch_size)
    run: Callable[..., Evaluation | DenseEvaluation]
    if benchmark in BENCHMARKS:
        from da2k.datasets.open_frames import open_frames
        from da2k.evaluation.dense import evaluate_dense

        rules = _required(protocol, benchmark)
        frames = open_frames(benchmark, rules.rules(benchmark), root, own_list=own_list, partial=partial)
        run = given(evaluate_dense, benchmark=frames, protocol=str(protocol), workers=workers)
        folder = Path("results") / benchmark / _slug(rules.name)
    else:
        from da2k.datasets.benchmarks import open_benchmark
        from da2k.evaluation.evaluate import evaluate as evaluate_pairs

        if own_list is not None or workers != 1:
            raise typer.BadParameter(f'is for measured depth, and "{benchmark}" is not', param_hint="--list, --workers")
        labels = open_benchmark(benchmark, root=root, partial=partial)
        run = given(evaluate_pairs, benchmark=labels, protocol=protocol or "da2k")
        folder = Path("results") / _slug(labels.name)
    loaded = load_model(model, model_options(model_option, dtype), device)
    target = out or folder / f"{_slug(loaded.record.name)}.json"
    with progress(loaded.record.name) as show:
        result = run(loaded, batch_size=at_once, out=target, replace=replace, resume=True, progress=show).result
    if json:
        typer.echo(result.model_dump_json(indent=1))
    else:
        _print(result, target)
    for warning in result.warnings:
        warn(warning)
    show_failures(result.failures)


def _required(protocol: str | None, benchmark: str) -> "DenseProtocol":
    """The protocol that was named; measured depth has no default, since no two papers use the same."""
    from da2k.protocols import dense_protocol, which_protocols

    if protocol is None:
        raise typer.BadParameter(f"name one; {which_protocols(benchmark)}", param_hint="--protocol")
    return dense_protocol(protocol, benchmark)


def _print(result: "Result | DenseResult", target: Path) -> None:
    from da2k.cli.dense_tables import print_dense_result
    from da2k.cli.tables import print_result
    from da2k.results import DenseResult

    if isinstance(result, DenseResult):
        typer.echo(_headline(result, _frames_scored(result)))
        print_dense_result(result)
    else:
        whole = "partial copy, " if result.benchmark.partial else ""
        typer.echo(_headline(result, f"{whole}{result.benchmark.images} images, {result.benchmark.pairs} pairs"))
        print_result(result)
    typer.echo(_footline(result.run))
    typer.echo(f"result: {target}")


def _headline(result: "Result | DenseResult", scored: str) -> str:
    model = f"{result.model.name} [{result.model.kind or 'kind unknown'}]"
    return f"{model} on {result.benchmark.name}: {scored}, protocol {result.protocol.name}"


def _frames_scored(result: "DenseResult") -> str:
    images = result.images
    scored = f"{images.scored} of {images.expected} images"
    if result.benchmark.own_list:
        listed = images.scored + images.failed + images.absent
        return f"{images.scored} of {listed} images of another list than the protocol's {images.expected}"
    return f"partial copy, {scored}" if result.benchmark.partial else scored


def _footline(run: "Run") -> str:
    rate = f", {run.images_per_second:.1f} images/s" if run.images_per_second else ""
    resumed = f", {run.images_resumed} images from an earlier run" if run.images_resumed else ""
    where = "" if run.device == "none" else f" on {run.device}, {run.dtype}"
    return f"{run.seconds:.1f} s{where}{rate}{resumed}"


def _slug(name: str) -> str:
    """A file name for a name."""
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
    return kept.strip("-.").encode()[:120].decode(errors="ignore") or "unnamed"
