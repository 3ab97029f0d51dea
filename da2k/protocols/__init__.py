"""Protocols: frozen records of every choice that a number depends on. The record's digest goes into each result."""

from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from da2k.errors import BadInput, did_you_mean
from da2k.files import load_yaml
from da2k.protocols.dense import DenseProtocol
from da2k.protocols.extending import extended
from da2k.protocols.fields import problem, unknown_field
from da2k.protocols.ordering import OrderingProtocol

__all__ = [
    "DenseProtocol",
    "OrderingProtocol",
    "dense_protocol",
    "ordering_protocol",
    "protocol",
    "protocol_names",
    "protocols_for",
    "which_protocols",
]

Protocol = OrderingProtocol | DenseProtocol

_BEGIN = (
    "has neither extends nor task; most records of one's own begin with extends: NAME, a protocol of da2k protocols "
    "list, and say only what differs (docs/protocols.md)"
)


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
        raise BadInput(f"protocol {name}: {problem(e, kind)}") from None


def ordering_protocol(name: str) -> OrderingProtocol:
    """The protocol of this name, for benchmarks of pairs.

    Raises:
        BadInput: there is none, or it is for depth maps.
    """
    found = protocol(name)
    if isinstance(found, DenseProtocol):
        raise BadInput(f"protocol {name} is for {', '.join(found.datasets)}; pairs are scored by protocol da2k")
    return found


def dense_protocol(name: str, dataset: str | None = None) -> DenseProtocol:
    """The protocol of this name, for measured depth.

    Args:
        name: of the protocol, or the path of its YAML file.
        dataset: what is to be scored; the message names the protocols that can.

    Raises:
        BadInput: there is none, or it is for pairs.
    """
    found = protocol(name)
    if isinstance(found, OrderingProtocol):
        instead = "measured depth has others: da2k protocols list" if dataset is None else which_protocols(dataset)
        raise BadInput(f"protocol {name} scores pairs of points; {instead}")
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


def which_protocols(dataset: str) -> str:
    """What a message says of the protocols that can be run on a dataset with measured depth."""
    names = protocols_for(dataset)
    if not names:
        return f"no protocol that comes with da2k scores {dataset}; write one, see docs/protocols.md"
    return f"for {dataset} choose one of {', '.join(names)}"


def _read(name: str) -> dict[str, Any]:
    """The fields of a record; those of the record that it extends stand where it says nothing."""
    own = _own_fields(name)
    name_of_base = own.pop("extends", None)
    if name_of_base is None:
        surplus = [key for key in own if key not in DenseProtocol.model_fields]
        if "task" not in own:
            raise BadInput(f"protocol {name}: {unknown_field(surplus[0], DenseProtocol) if surplus else _BEGIN}")
        return own
    if name_of_base not in protocol_names():
        known = did_you_mean(str(name_of_base), protocol_names())
        raise BadInput(f'protocol {name}: extends: unknown protocol "{name_of_base}"; {known}')
    base = _read(name_of_base)
    if own.get("task", base["task"]) != base["task"]:
        raise BadInput(f"protocol {name}: task: is {base['task']}, as that of {name_of_base}; leave it out")
    return extended(name_of_base, base, own)


def _own_fields(name: str) -> dict[str, Any]:
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
    for key in _keys(fields):
        if not isinstance(key, str):
            raise BadInput(
                f"protocol {name}: {key} is no name of a field; YAML reads on, off, yes and no as true or false"
            )
    return fields


def _keys(fields: dict[Any, Any]) -> Iterator[Any]:
    for key, value in fields.items():
        yield key
        if isinstance(value, dict):
            yield from _keys(value)
