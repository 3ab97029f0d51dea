"""Protocols: frozen records of every choice that a number depends on. The record's digest goes into each result."""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from da2k.errors import BadInput, did_you_mean
from da2k.files import load_yaml
from da2k.protocols.dense import DenseProtocol
from da2k.protocols.ordering import OrderingProtocol

__all__ = [
    "DenseProtocol",
    "OrderingProtocol",
    "dense_protocol",
    "ordering_protocol",
    "protocol",
    "protocol_names",
    "protocols_for",
]

Protocol = OrderingProtocol | DenseProtocol


def protocol_names() -> list[str]:
    """The protocols that come with da2k."""
    folder = resources.files("da2k.protocols")
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def protocol(name: str) -> Protocol:
    """The protocol of this name, or in the YAML file of this path.

    Raises:
        BadInput: there is none, and the message lists them; or the file is no record of a protocol, and the message
            names the field.
    """
    return _bundled(name) if name in protocol_names() else _validated(name)


@cache
def _bundled(name: str) -> Protocol:
    return _validated(name)


def _validated(name: str) -> Protocol:
    fields = _read(name)
    kind = OrderingProtocol if fields.get("task") == "ordering" else DenseProtocol
    if fields.get("name") in protocol_names() and fields["name"] != name:
        raise BadInput(f"protocol {name}: name: {fields['name']} is one that comes with da2k; give yours its own")
    try:
        return kind.model_validate(fields)
    except ValidationError as e:
        first = e.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "(whole record)"
        raise BadInput(f"protocol {name}: {field}: {first['msg'].removeprefix('Value error, ')}") from None


def ordering_protocol(name: str) -> OrderingProtocol:
    """The protocol of this name, for benchmarks of pairs.

    Raises:
        BadInput: there is none, or it is for depth maps.
    """
    found = protocol(name)
    if isinstance(found, DenseProtocol):
        raise BadInput(f"protocol {name} is for {', '.join(found.datasets)}; pairs are scored by protocol da2k")
    return found


def dense_protocol(name: str) -> DenseProtocol:
    """The protocol of this name, for measured depth.

    Raises:
        BadInput: there is none, or it is for pairs.
    """
    found = protocol(name)
    if isinstance(found, OrderingProtocol):
        others = (name for name in protocol_names() if isinstance(protocol(name), DenseProtocol))
        raise BadInput(f"protocol {name} scores pairs of points; for measured depth choose one of {', '.join(others)}")
    return found


def protocols_for(dataset: str) -> list[str]:
    """The protocols that come with da2k and can be run on a dataset with measured depth."""
    found = ((name, protocol(name)) for name in protocol_names())
    return [
        name
        for name, record in found
        if isinstance(record, DenseProtocol)
        and dataset in record.datasets
        and record.datasets[dataset].status != "unavailable"
    ]


def _read(name: str) -> dict[str, Any]:
    """The fields of a record; those of the record that it extends stand where it says nothing."""
    own = Path(name)
    try:
        if name.endswith((".yaml", ".yml")):
            text = own.read_text(encoding="utf-8")
        elif name in protocol_names():
            text = resources.files("da2k.protocols").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
        else:
            raise BadInput(f'unknown protocol "{name}"; {did_you_mean(name, protocol_names())}')
        fields = load_yaml(text)
    except OSError as e:
        raise BadInput(f"{own}: {e.strerror or e}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as e:
        raise BadInput(f"{own}: not valid YAML ({' '.join(str(e).split())})") from None
    if not isinstance(fields, dict):
        raise BadInput(f"{own}: must hold the fields of a protocol, such as name and extends; see docs/protocols.md")
    base = fields.pop("extends", None)
    if base is None:
        return fields
    if base not in protocol_names():
        raise BadInput(f"protocol {name}: extends: {did_you_mean(str(base), protocol_names())}")
    return _merged(_without_claims(_read(base)), fields)


def _without_claims(base: dict[str, Any]) -> dict[str, Any]:
    """A base without its published numbers and who reproduced them: other choices give other numbers."""
    for rules in (base.get("datasets") or {}).values():
        if rules["status"] != "unavailable":
            rules["status"] = "unanchored"
    return {key: value for key, value in base.items() if key != "anchors"}


def _merged(base: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields over those of a base; mappings are merged, all else is replaced, null in a mapping of datasets removes."""
    merged = dict(base)
    for key, value in fields.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping):
            merged[key] = _merged(base[key], value)
        else:
            merged[key] = value
    if isinstance(merged.get("datasets"), Mapping):
        merged["datasets"] = {name: rules for name, rules in merged["datasets"].items() if rules is not None}
    return merged
