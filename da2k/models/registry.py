"""From one string to a model: the adapters by prefix, the zoo by name."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module, resources
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from da2k.depth import DepthKind
from da2k.errors import BadModel, did_you_mean
from da2k.files import user_path
from da2k.models import Model

ADAPTERS: Mapping[str, str] = {
    "hf": "da2k.models.hf:load",
    "marigold": "da2k.models.marigold:load",
    "geowizard": "da2k.models.geowizard:load",
    "onnx": "da2k.models.onnx:load",
    "tflite": "da2k.models.tflite:load",
    "predictions": "da2k.models.predictions:load",
    "python": "da2k.models.python:load",
    "baseline": "da2k.models.baseline:load",
}
"""Prefix of a model string → where its `load(target, options, device)` is; imported when it is asked for."""


Load = Callable[[str, Mapping[str, str], str], Model]


class ZooEntry(BaseModel):
    """One model of the zoo: how to get it, what its maps mean, and what is reported of it.

    Attributes:
        spec: a model string; absent where nothing can be loaded, and `status` says why.
        revision: the commit of the hub repository that is loaded; None is its main branch.
        base: the hub repository that lends the parts which the model's own does not hold.
        options: what `spec` needs to be loaded as this model.
        kind: what its maps mean.
        parameters: their number, in millions or billions.
        licence: of the weights, an SPDX id, or LicenseRef-… and `licence_url`. LicenseRef-unstated: the weights
            come without one.
        licence_url: where the licence, or its absence, can be read.
        input: what the network sees of a photo, and the size of the map.
        paper: arXiv id.
        da2k_accuracy: on DA-2K, in percent, as `da2k_source` states it for this very model.
        da2k_source: a paper's table, or a third party that ran it.
        note: what a reader has to know besides.
        status: "available" from the hub, "not released" by its authors, or "not supported" here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    spec: Annotated[str, Field(pattern=r"^[a-z]+:[\w.-]+/[\w.-]+$")] | None = None
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    base: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    options: dict[str, str] = {}
    kind: Annotated[DepthKind, Field(strict=False)]
    parameters: Annotated[str, Field(pattern=r"^\d+(\.\d+)?[MB]$")] | None = None
    licence: Annotated[str, Field(pattern=r"^(Apache-2\.0|MIT|CC-BY-NC-4\.0|LicenseRef-[A-Za-z0-9.-]+)$")]
    licence_url: Annotated[str, Field(pattern=r"^https://\S+$")] | None = None
    input: str
    paper: Annotated[str, Field(pattern=r"^arXiv:\d{4}\.\d{5}$")]
    da2k_accuracy: Annotated[float, Field(gt=0, le=100)] | None = None
    da2k_source: str | None = None
    note: str | None = None
    status: Literal["available", "not released", "not supported"] = "available"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.spec is None) is (self.status == "available"):
            raise ValueError("spec: belongs to models that are available, and to no others")
        if self.spec is None and (self.revision or self.base or self.options):
            raise ValueError("revision, base, options: of what? there is no spec")
        if self.licence.startswith("LicenseRef-") and self.licence_url is None:
            raise ValueError("licence_url: is needed where the licence has no SPDX id")
        if (self.da2k_accuracy is None) is not (self.da2k_source is None):
            raise ValueError("da2k_accuracy and da2k_source belong together")
        return self


@cache
def zoo() -> Mapping[str, ZooEntry]:
    """The models known by name, from `zoo.yaml`."""
    text = resources.files("da2k.models").joinpath("zoo.yaml").read_text(encoding="utf-8")
    return {name: ZooEntry.model_validate(entry) for name, entry in yaml.safe_load(text).items()}


def zoo_entry(name: str) -> ZooEntry:
    """The zoo's entry of this name.

    Raises:
        BadModel: there is none; the message suggests the nearest.
    """
    if name not in zoo():
        raise BadModel(f'unknown model "{name}"; {did_you_mean(name, zoo())}')
    return zoo()[name]


def load_model(spec: str, options: Mapping[str, str] | None = None, device: str = "auto") -> Model:
    """Load the model that a string names.

    Args:
        spec: a zoo name, or a prefix of `ADAPTERS`, a colon and a target.
        options: what `--model-option` gives; each adapter documents its own. For a zoo name also `path`, a folder
            (or another hub id) that holds the model; the entry's hub id, revision and base are then not used.
        device: "auto", "cpu", "cuda" or "cuda:n"; where there is only one way to run, it is ignored or refused.

    Raises:
        BadModel: the name is unknown, `kind` is not what the zoo says of it, or the model cannot be loaded.
        MissingExtra: the adapter's packages are not installed.
    """
    source = resolve(spec, options)
    model = _adapter(source.adapter)(source.target, source.options, device)
    if not source.in_zoo:
        return model
    path = (options or {}).get("path")
    return _Named(model, spec, {} if path is None else {"path": path})


@dataclass(frozen=True)
class Source:
    """What a model string comes down to.

    Attributes:
        adapter: a prefix of `ADAPTERS`.
        target: what that adapter loads: a file, a folder, a hub id, a name.
        options: those given, and those that the zoo has for it, such as its revision.
        in_zoo: whether the string is a name of the zoo.
    """

    adapter: str
    target: str
    options: Mapping[str, str]
    in_zoo: bool = False

    def __str__(self) -> str:
        return f"{self.adapter}:{self.target}"


def resolve(spec: str, options: Mapping[str, str] | None = None) -> Source:
    """What a model string comes down to; nothing is loaded, and no file is looked for.

    Raises:
        BadModel: the name is unknown or has no weights, or `kind` is not what the zoo says of it.
    """
    prefix, colon, target = spec.partition(":")
    given = dict(options or {})
    if colon and prefix in ADAPTERS:
        return Source(prefix, target, given)
    if spec in zoo():
        entry = zoo()[spec]
        if entry.spec is None:
            raise BadModel(f'"{spec}" {_WHY_NOT[entry.status]}')
        if given.get("kind", entry.kind) != entry.kind:
            what = f"its maps are {entry.kind}; leave it out, or name another model's weights without the zoo"
            raise BadModel(f"{spec}: option kind={given['kind']}: {what}, as {entry.spec.partition(':')[0]}:FOLDER")
        zoo_prefix, _, zoo_target = entry.spec.partition(":")
        path = given.pop("path", None)
        hub = {"revision": entry.revision, "base": entry.base} if path is None else {}
        chosen = {key: value for key, value in hub.items() if value is not None} | entry.options | given
        return Source(zoo_prefix, zoo_target if path is None else path, chosen, in_zoo=True)
    if hint := _looks_like(spec):
        raise BadModel(f'unknown model "{spec}"; did you mean "{hint}"?')
    known = [*zoo(), *(f"{name}:" for name in ADAPTERS)]
    raise BadModel(f'unknown model "{spec}"; {did_you_mean(spec, known)}')


def _looks_like(spec: str) -> str | None:
    """The model string that was meant, if this is a bare file or folder."""
    path = user_path(spec)
    by_ending = {".tflite": "tflite", ".onnx": "onnx", ".pth": "hf", ".py": "python"}
    if path.suffix in by_ending:
        return f"{by_ending[path.suffix]}:{spec.partition(':')[2] or spec}" + (
            ":FACTORY" if path.suffix == ".py" else ""
        )
    if (path / "config.json").is_file():
        return f"hf:{spec}"
    if (path / "predictions.yaml").is_file():
        return f"predictions:{spec}"
    return None


_WHY_NOT = {
    "not released": "was not released by its authors; there are no weights to load",
    "not supported": "is not supported yet; run its authors' code, save its depth maps, and score predictions:FOLDER",
}


class _Named:
    """A model under its zoo name; everything else is the model's own."""

    def __init__(self, model: Model, name: str, place: Mapping[str, str]) -> None:
        update = {"name": name, "spec": name, "options": {**model.record.options, **place}}
        self.record = model.record.model_copy(update=update)
        self.predict = model.predict
        self.warnings = [*getattr(model, "warnings", ()), *_other_size(name, model.record.parameters)]
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def _other_size(name: str, parameters: int | None) -> Iterator[str]:
    """One line if the loaded weights are not as many as the model of this name has."""
    stated = zoo()[name].parameters
    if parameters is None or stated is None or not stated.endswith("M"):
        return
    if str(zoo()[name].spec).startswith("hf:") and abs(parameters / 1e6 / float(stated[:-1]) - 1) > 0.05:
        yield f"these weights have {parameters:,} parameters, and {name} has {stated}: this is another model"


def _adapter(prefix: str) -> Load:
    module, _, function = ADAPTERS[prefix].partition(":")
    load: Load = getattr(import_module(module), function)
    return load
