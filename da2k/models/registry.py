"""From one string to a model: the adapters by prefix, the zoo by name."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module, resources
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from da2k.depth import DepthKind
from da2k.errors import BadModel, did_you_mean
from da2k.models import Model

ADAPTERS: Mapping[str, str] = {
    "hf": "da2k.models.hf:load",
    "onnx": "da2k.models.onnx:load",
    "tflite": "da2k.models.tflite:load",
    "predictions": "da2k.models.predictions:load",
    "python": "da2k.models.python:load",
    "baseline": "da2k.models.baseline:load",
}
"""Prefix of a model string → where its `load(target, options, device)` is; imported when it is asked for."""


Load = Callable[[str, Mapping[str, str], str], Model]


class ZooEntry(BaseModel):
    """One model of the zoo: how to get it, what its maps mean, and what its authors report.

    `spec` is a model string, absent where nothing was released. `da2k_accuracy` is in percent, from the source
    that `da2k_source` names.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    spec: str | None = None
    options: dict[str, str] = {}
    kind: DepthKind
    parameters: str | None = None
    licence: str
    input: str
    paper: str | None = None
    da2k_accuracy: float | None = None
    da2k_source: str | None = None
    status: Literal["available", "not released"] = "available"


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
        spec: a zoo name, or `hf:`, `onnx:`, `tflite:`, `predictions:`, `python:` or `baseline:` and a target.
        options: what `--model-option` gives; each adapter documents its own.
        device: "auto", "cpu", "cuda" or "cuda:n"; where there is only one way to run, it is ignored or refused.

    Raises:
        BadModel: the name is unknown or the model cannot be loaded.
        MissingExtra: the adapter's packages are not installed.
    """
    prefix, colon, target = spec.partition(":")
    given = dict(options or {})
    if colon and prefix in ADAPTERS:
        return _adapter(prefix)(target, given, device)
    if spec in zoo():
        entry = zoo()[spec]
        if entry.spec is None:
            raise BadModel(f'"{spec}" was not released by its authors; there are no weights to load')
        zoo_prefix, _, zoo_target = entry.spec.partition(":")
        model = _adapter(zoo_prefix)(given.pop("path", zoo_target), {**entry.options, **given}, device)
        return _Named(model, spec)
    known = [*zoo(), *(f"{name}:" for name in ADAPTERS)]
    raise BadModel(f'unknown model "{spec}"; {did_you_mean(spec, known)}')


class _Named:
    """A model under its zoo name; everything else is the model's own."""

    def __init__(self, model: Model, name: str) -> None:
        self.record = model.record.model_copy(update={"name": name, "spec": name})
        self.predict = model.predict
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def _adapter(prefix: str) -> Load:
    module, _, function = ADAPTERS[prefix].partition(":")
    load: Load = getattr(import_module(module), function)
    return load
