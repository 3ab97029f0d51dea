"""`da2k evaluate`, `predict` and `compare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from da2k.results import Failure, Result

Model = Annotated[
    str,
    typer.Argument(
        help="A name from `da2k models list`, or hf:<hub id or folder>, onnx:<file>, tflite:<file>, "
        "predictions:<folder>, python:<module>:<factory>, baseline:<cue>.",
        show_default=False,
    ),
]
ModelOption = Annotated[
    list[str],
    typer.Option("--model-option", "-o", metavar="KEY=VALUE", help="An option of the model; may be repeated."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
BatchSize = Annotated[
    str,
    typer.Option(
        metavar="N|auto",
        help="Images given to the model at once; auto is 16. If they do not fit into memory, it is halved.",
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(help="float32, float16 or bfloat16, for models that run on torch; short for -o dtype=…"),
]
Root = Annotated[
    Path | None, typer.Option(help="Where the named benchmark lies; default: where `da2k data fetch` puts it.")
]
Partial = Annotated[
    bool,
    typer.Option(
        "--partial",
        help="Accept an incomplete copy of a named benchmark. The result says so; pairs whose image is absent "
        "count as invalid.",
    ),
]


def evaluate(
    model: Model,
    benchmark: Annotated[
        str, typer.Option(help="A name from `da2k data list`, or a folder with annotations.json and images/.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The result file; default: results/<benchmark>/<model>.json.")
    ] = None,
    protocol: Annotated[str, typer.Option(help="The scoring rules.")] = "da2k",
    model_option: ModelOption = [],  # noqa: B006 - typer copies it
    device: Device = "auto",
    batch_size: BatchSize = "1",
    dtype: Dtype = None,
    root: Root = None,
    partial: Partial = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let the result replace one of another model or benchmark.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON instead of tables.")] = False,
) -> None:
    """Score a model on a benchmark.

    Prints accuracy per scenario and overall, with 95 % intervals, and writes the result and its per-pair rows. A
    run that was interrupted is carried on by the same command. Exit code 1 if any pair could not be judged.

    Example: da2k evaluate depth-anything-v2-small --benchmark da2k
    """
    from da2k.cli.progress import progress
    from da2k.cli.tables import print_result
    from da2k.datasets.benchmarks import open_benchmark
    from da2k.evaluation.evaluate import evaluate as run
    from da2k.models.registry import load_model

    at_once = parse_batch_size(batch_size)
    labels = open_benchmark(benchmark, root=root, partial=partial)
    loaded = load_model(model, _options(model_option, dtype), device)
    target = out or Path("results") / _slug(labels.name) / f"{_slug(loaded.record.name)}.json"
    with progress(loaded.record.name) as show:
        evaluation = run(
            loaded,
            labels,
            protocol=protocol,
            batch_size=at_once,
            out=target,
            replace=replace,
            resume=True,
            progress=show,
        )
    result = evaluation.result
    if json:
        typer.echo(result.model_dump_json(indent=1))
    else:
        typer.echo(_headline(result))
        print_result(result)
        typer.echo(_footline(result))
        typer.echo(f"result: {target}")
    for warning in result.warnings:
        _warn(warning)
    _show_failures(result.failures)


def predict(
    model: Model,
    images: Annotated[
        str, typer.Argument(help="A benchmark by name or folder, a folder of photographs, or one photograph.")
    ],
    out: Annotated[Path, typer.Option(help="The predictions folder to write.")],
    preview: Annotated[
        bool, typer.Option("--preview", help="Also write each map as a picture, under previews/ in the folder.")
    ] = False,
    model_option: ModelOption = [],  # noqa: B006 - typer copies it
    device: Device = "auto",
    batch_size: BatchSize = "1",
    dtype: Dtype = None,
    root: Root = None,
    partial: Partial = False,
) -> None:
    """Write a model's depth maps to a folder.

    The maps have the network's own size. The folder scores exactly as the model does. A run that was
    interrupted is carried on by the same command.

    Example: da2k predict depth-anything-v2-small photos/ --out maps/
    """
    from da2k.cli.progress import progress
    from da2k.evaluation.predict import predict as run
    from da2k.models.registry import load_model

    at_once = parse_batch_size(batch_size)
    loaded = load_model(model, _options(model_option, dtype), device)
    with progress(loaded.record.name) as show:
        done = run(
            loaded,
            images,
            out,
            root=root,
            partial=partial,
            batch_size=at_once,
            preview=preview,
            say=_warn,
            progress=show,
        )
    earlier = f", {done.resumed} were there already" if done.resumed else ""
    typer.echo(f"{done.written} maps written to {done.folder}{earlier}")
    _show_failures(done.failures)


def compare(
    results: Annotated[list[Path], typer.Argument(help="Two or more result files.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print the tests as JSON.")] = False,
) -> None:
    """Is one model really better than another?

    Exact McNemar tests on the same pairs, overall and per scenario, for every two results. The overall
    p-value is a single test; those of the scenarios are also corrected for testing all of them (Holm).
    Differences are called separable at 5 %.

    Example: da2k compare results/da2k/a.json results/da2k/b.json
    """
    from dataclasses import asdict
    from json import dumps

    from da2k.cli.tables import print_comparison
    from da2k.evaluation.compare import compare as run

    tests = run(results)
    if json:
        typer.echo(dumps([{**asdict(test), "separable": test.separable} for test in tests], indent=1))
    else:
        print_comparison(tests)


def _warn(line: str) -> None:
    typer.echo(f"warning: {line}", err=True)


def parse_batch_size(text: str) -> 'Literal["auto"] | int':
    """What --batch-size says; anything else is wrong usage."""
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise typer.BadParameter(f'"{text}" is neither auto nor a number of 1 or more', param_hint="--batch-size")
    return int(text)


def _options(pairs: list[str], dtype: str | None) -> dict[str, str]:
    options = {} if dtype is None else {"dtype": dtype}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f'"{pair}" is not of the form key=value', param_hint="--model-option")
        if key.strip() in options:
            raise typer.BadParameter(f'"{key.strip()}" is given twice', param_hint="--model-option")
        options[key.strip()] = value.strip()
    return options


def _slug(name: str) -> str:
    """A file name for a name."""
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
    return kept.strip("-.").encode()[:120].decode(errors="ignore") or "unnamed"


def _headline(result: "Result") -> str:
    benchmark = result.benchmark
    whole = "partial copy, " if benchmark.partial else ""
    return (
        f"{result.model.name} [{result.model.kind or 'kind unknown'}] on {benchmark.name}: {whole}"
        f"{benchmark.images} images, {benchmark.pairs} pairs, protocol {result.protocol.name}"
    )


def _footline(result: "Result") -> str:
    run = result.run
    rate = f", {run.images_per_second:.1f} images/s" if run.images_per_second else ""
    resumed = f", {run.images_resumed} images from an earlier run" if run.images_resumed else ""
    return f"{run.seconds:.1f} s on {run.device}, {run.dtype}{rate}{resumed}"


def _show_failures(failures: "Sequence[Failure]") -> None:
    """Name the images that failed, on stderr, and leave with exit code 1 if there are any."""
    by_reason: dict[str, list[str]] = {}
    for failure in failures:
        by_reason.setdefault(failure.reason, []).append(failure.image)
    shown = 20
    for reason, images in list(by_reason.items())[:shown]:
        more = f" and {len(images) - 1} more images" if len(images) > 1 else ""
        typer.echo(f"failed: {images[0]}{more}: {reason}", err=True)
    if len(by_reason) > shown:
        left = sum(map(len, list(by_reason.values())[shown:]))
        typer.echo(f"failed: and {left} images more; the result file names them", err=True)
    if failures:
        raise typer.Exit(1)
