"""`da2k predict` and `compare`, and the options that they share with `da2k evaluate`."""

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from da2k.results import Failure

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
        "count as invalid; of measured depth, the frames that are here are scored.",
    ),
]
OwnList = Annotated[
    Path | None,
    typer.Option("--list", help="For measured depth: a list of other frames, in the format of the dataset's own."),
]


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
    protocol: Annotated[
        str | None,
        typer.Option(
            help="For measured depth (kitti, …): the protocol that crops the images and may ask for flip-TTA."
        ),
    ] = None,
    own_list: OwnList = None,
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
    loaded = load_model(model, model_options(model_option, dtype), device)
    with progress(loaded.record.name) as show:
        done = run(
            loaded,
            images,
            out,
            root=root,
            partial=partial,
            protocol=protocol,
            own_list=own_list,
            batch_size=at_once,
            preview=preview,
            say=warn,
            progress=show,
        )
    earlier = f", {done.resumed} were there already" if done.resumed else ""
    typer.echo(f"{done.written} maps written to {done.folder}{earlier}")
    show_failures(done.failures)


def compare(
    results: Annotated[list[Path], typer.Argument(help="Two or more result files.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print the tests as JSON.")] = False,
) -> None:
    """Is one model really better than another?

    On pairs: exact McNemar tests on the same pairs, overall and per scenario, for every two results. The overall
    p-value is a single test; those of the scenarios are also corrected for testing all of them (Holm). Against
    measured depth: the mean difference over the same images, with its bootstrap interval and a sign-flip test, each
    metric corrected for testing all (Holm). Differences are called separable at 5 %.

    Example: da2k compare results/da2k/a.json results/da2k/b.json
    """
    from dataclasses import asdict
    from json import dumps

    from da2k.cli.dense_tables import print_dense_comparison
    from da2k.cli.tables import print_comparison
    from da2k.evaluation.compare import compare as compare_pairs
    from da2k.evaluation.dense.compare import compare_dense
    from da2k.results import DenseResult, read_any_result

    if isinstance(read_any_result(results[0]), DenseResult):
        means = compare_dense(results)
        if json:
            typer.echo(dumps([{**asdict(m), "separable": m.separable, "better": m.better} for m in means], indent=1))
        else:
            print_dense_comparison(means)
        return
    tests = compare_pairs(results)
    if json:
        typer.echo(dumps([{**asdict(test), "separable": test.separable} for test in tests], indent=1))
    else:
        print_comparison(tests)


def warn(line: str) -> None:
    """Say something on stderr that is no error."""
    typer.echo(f"warning: {line}", err=True)


def parse_batch_size(text: str) -> 'Literal["auto"] | int':
    """What --batch-size says; anything else is wrong usage."""
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise typer.BadParameter(f'"{text}" is neither auto nor a number of 1 or more', param_hint="--batch-size")
    return int(text)


def model_options(pairs: list[str], dtype: str | None) -> dict[str, str]:
    """What --model-option and --dtype say; anything else than key=value is wrong usage."""
    options = {} if dtype is None else {"dtype": dtype}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f'"{pair}" is not of the form key=value', param_hint="--model-option")
        if key.strip() in options:
            raise typer.BadParameter(f'"{key.strip()}" is given twice', param_hint="--model-option")
        options[key.strip()] = value.strip()
    return options


def show_failures(failures: "Sequence[Failure]") -> None:
    """Name the images that failed, on stderr, and leave with exit code 1 if there are any."""
    by_reason: dict[str, list[Failure]] = {}
    for failure in failures:
        alike = failure.reason.replace(str(PurePosixPath(failure.image).with_suffix("")), "*")
        by_reason.setdefault(alike, []).append(failure)
    shown = 20
    for images in list(by_reason.values())[:shown]:
        more = f" and {len(images) - 1} more image{'s'[: len(images) > 2]}" if len(images) > 1 else ""
        typer.echo(f"failed: {images[0].image}{more}: {images[0].reason}", err=True)
    if len(by_reason) > shown:
        left = sum(map(len, list(by_reason.values())[shown:]))
        typer.echo(f"failed: and {left} images more; the result file names them", err=True)
    if failures:
        raise typer.Exit(1)
