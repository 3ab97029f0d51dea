"""The experts of a workspace: in which ways they are run, what names them before they are loaded, cheap checks."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

from da2k.construction.settings import FILE_NAME, ExpertSettings, Settings, digest
from da2k.construction.workspace import Workspace
from da2k.errors import BadInput, BadModel, Da2kError, MissingExtra, Unreachable
from da2k.evaluation.inference import BatchSize
from da2k.models.local_files import local_files
from da2k.models.options import Options, parse_options
from da2k.models.registry import load_model, resolve


@dataclass(frozen=True)
class Way:
    """One way in which an expert is run.

    Attributes:
        name: of an expert's first way the expert's name; of another, that and what is different.
        expert: the expert's name, `ExpertSettings.name`.
        model: a model string.
        options: its model options.
        batch_size: images given to the model at once; None leaves it to the run.
    """

    name: str
    expert: str
    model: str
    options: Mapping[str, str]
    batch_size: BatchSize | None = None


def expert_ways(settings: Settings | Iterable[ExpertSettings]) -> tuple[Way, ...]:
    """All ways in which the experts are run: in the order of the settings, each expert itself before its other ways.

    Raises:
        BadInput: two ways are the same, or a `batch_size` is neither a number nor "auto".
    """
    ways = []
    for expert in settings.experts if isinstance(settings, Settings) else settings:
        ways.append(Way(expert.name, expert.name, expert.model, expert.options))
        for again in expert.again:
            name = f"{expert.name} again" + "".join(f" {key}={value}" for key, value in sorted(again.items()))
            changed = {key: value for key, value in again.items() if key != "batch_size"}
            batch_size = _batch_size(again["batch_size"], name) if "batch_size" in again else None
            ways.append(Way(name, expert.name, expert.model, {**expert.options, **changed}, batch_size))
    names = [way.name for way in ways]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f'{FILE_NAME}: experts: "{name}" stands there twice; keep one')
    return tuple(ways)


def identity_of(workspace: Workspace, way: Way) -> str:
    """Names all that a way's readings come from, as far as that is known without loading the model.

    It covers the model string, its options, what the zoo has for it, and the content of the local files that it
    is made from (see `local_files`). It does not cover da2k's version, the device, the batches of an expert's first
    way, or what a hub id without a revision stands for. Files that are not here any more, such as weights on another
    machine, count as unchanged.

    Raises:
        Da2kError: the model string is unknown; or a file is not there, and no readings either.
    """
    source = resolve(way.model, way.options)
    said = digest(source.adapter, source.target, dict(source.options), way.batch_size)
    try:
        content = digest([(label, workspace.file_digest(file)) for label, file in local_files(source)])
    except Da2kError:
        for (stored,) in workspace.db.run("SELECT identity FROM experts WHERE expert = ?", way.name):
            if stored.startswith(said):
                return str(stored)
        raise
    return f"{said} {content}"


def check_ways(ways: Iterable[Way], *, packages: bool = True) -> None:
    """Check ways one after the other, see `check_way`."""
    for way in ways:
        check_way(way, packages=packages)


def check_way(way: Way, *, packages: bool = True) -> None:
    """Find what would keep a model from being loaded, as far as that is known without loading it.

    Args:
        way: of an expert.
        packages: also look whether the packages that it needs are installed.

    Raises:
        Da2kError: its name, an option or a file is wrong, or a package is not installed.
    """
    with told_for_experts(way):
        _check(way, packages)


@contextmanager
def told_for_experts(way: Way) -> Iterator[None]:
    """Where an error names an option of the command line, say too how an expert is given it."""
    try:
        yield
    except (BadInput, BadModel, Unreachable) as e:
        option = _OPTION.search(str(e))
        if option is None:
            raise
        how = f"--expert '{way.expert} {option[1]}', or under its options in {FILE_NAME}"
        raise type(e)(f"{e}; an expert's option stands behind it: {how}") from None


_OPTION = re.compile(r"--model-option (\w+=[\w…]*)")


def _check(way: Way, packages: bool) -> None:
    source = resolve(way.model, way.options)
    if source.adapter in ("baseline", "predictions"):
        load_model(way.model, way.options)  # nothing heavy, and all that there is to check
        return
    for package in _PACKAGES.get(source.adapter, ()) if packages else ():
        if find_spec(package.replace("-", "_")) is None:
            raise MissingExtra(package, "edge" if source.adapter in ("onnx", "tflite") else "models")
    files = local_files(source)
    if source.adapter in ("onnx", "tflite"):
        from da2k.models.network_options import read_declaration

        read_declaration(files[0][1], source.options, str(source))
    elif taken := _options_of(source.adapter):
        parse_options(taken, source.options, str(source))


_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "hf": ("torch", "transformers"),
    "marigold": ("torch", "diffusers", "transformers"),
    "geowizard": ("torch", "diffusers", "transformers"),
    "onnx": ("onnxruntime",),
    "tflite": ("ai-edge-litert",),
}
"""What an adapter needs that da2k does not bring by itself."""


def _options_of(adapter: str) -> type[Options] | None:
    """The options that an adapter of checkpoints takes; None for Python code, which takes any."""
    if adapter == "hf":
        from da2k.models.hf import HubOptions

        return HubOptions
    if adapter == "marigold":
        from da2k.models.marigold import MarigoldOptions

        return MarigoldOptions
    if adapter == "geowizard":
        from da2k.models.geowizard import GeoWizardOptions

        return GeoWizardOptions
    return None


def _batch_size(text: str, way: str) -> BatchSize:
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise BadInput(f'{FILE_NAME}: experts: {way}: batch_size has to be "auto", or 1 or more')
    return int(text)
