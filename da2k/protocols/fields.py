"""The fields of a record in words: their types and meanings, and what is wrong with one."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from da2k.errors import did_you_mean
from da2k.protocols.dense import BENCHMARKS

_UNKNOWN = ("extra_forbidden", "invalid_key")


def field_table(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, str, str]]:
    """(name, type, meaning) of each field of a record, with those of its mappings below it, such as range.low."""
    meanings = _meanings(model)
    for name, field in model.model_fields.items():
        kind = in_words(field.annotation, field.metadata) + _default(field)
        yield f"{above}{name}", kind, meanings[name]
        below, step = _model_below(field.annotation)
        if below is not None:
            yield from field_table(below, f"{above}{name}{step}.")


def in_words(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """What a value has to be, such as "a number above 0 or null"."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return in_words(parts[0], parts[1:])
    if origin in (Union, UnionType):
        words = [str(word) for part in parts for word in _branches(part)]
        return f"{', '.join(words[:-1])} or {words[-1]}"
    if origin is Literal:
        return str(parts[0]) if len(parts) == 1 else f"one of {', '.join(map(str, parts))}"
    if origin in (tuple, dict):
        each = "mappings" if _model_below(annotation)[0] else in_words(parts[1 if origin is dict else 0])
        return f"a list of {each}" if origin is tuple else f"a mapping from names to {each}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"a mapping with {_listed(annotation.model_fields)}"
    return _simple(annotation, metadata)


def problem(error: ValidationError, model: type[BaseModel]) -> str:
    """What is wrong with a record, with the place of it: unknown fields first, as they leave others missing."""
    errors = error.errors()
    first = next((e for e in errors if e["type"] in _UNKNOWN), errors[0])
    names, annotation, metadata = _place([part for part in first["loc"] if part != "[key]"], model)
    if names[:1] == ["datasets"] and len(names) > 1 and names[1] not in BENCHMARKS:
        return f'datasets: unknown dataset "{names[1]}"; {did_you_mean(names[1], BENCHMARKS)}'
    if first["type"] in _UNKNOWN:
        return unknown_field(names[-1], annotation, ".".join(names[:-1]))
    where = f"{'.'.join(names)}: " if names else ""
    if first["type"] == "value_error":
        return f"{where}{first['msg'].removeprefix('Value error, ')}"
    wanted = in_words(annotation, metadata)
    if first["type"] == "missing":
        return f"{where}is missing; it must be {wanted}"
    if first["type"] == "too_short":
        return f"{where}is empty; it must be {wanted}"
    return f"{where}must be {wanted}, not {_shown(first['input'])}{_hint(first['input'], wanted)}"


def unknown_field(name: str, model: type[BaseModel], where: str = "") -> str:
    """That a mapping has no such field; `where` is the place of the mapping, "" of the record itself."""
    known = [*model.model_fields, *([] if where else ["extends"])]
    return f'{where + ": " if where else ""}unknown field "{name}"; {did_you_mean(name, known)}'


def _place(loc: Sequence[int | str], model: type[BaseModel]) -> tuple[list[str], Any, Sequence[Any]]:
    """The names down to the field of an error, its annotation, and what limits it; a union's branches are left out.

    For an unknown field the annotation is the mapping that it stands in.
    """
    names: list[str] = []
    annotation: Any = model
    metadata: Sequence[Any] = ()
    for part in loc:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            names.append(str(part))
            if part not in annotation.model_fields:
                break
            field = annotation.model_fields[str(part)]
            annotation, metadata = field.annotation, field.metadata
        elif get_origin(annotation) in (dict, tuple):
            names.append(str(part))
            annotation, metadata = get_args(annotation)[-1 if get_origin(annotation) is dict else 0], ()
        else:
            break
    return names, annotation, metadata


def _simple(annotation: Any, metadata: Sequence[Any]) -> str:
    limits = dict(_limits(metadata))
    if annotation is NoneType:
        return "null"
    if annotation is bool:
        return "true or false"
    if annotation is int:
        least = limits.get("ge", limits["gt"] + 1 if "gt" in limits else None)
        return "a whole number" if least is None else f"a whole number of {least} or more"
    if annotation is float:
        return "a number" + (f" above {limits['gt']}" if "gt" in limits else "") + (" of 0 or more" * ("ge" in limits))
    return "text of a-z, 0-9, . and -, beginning with a letter or digit" if "pattern" in limits else "text"


def _branches(part: Any) -> Sequence[Any]:
    return get_args(part) if get_origin(part) is Literal else [in_words(part)]


def _limits(metadata: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    for each in metadata:
        if isinstance(each, FieldInfo):
            yield from _limits(each.metadata)
        yield from (
            (key, getattr(each, key)) for key in ("ge", "gt", "pattern") if getattr(each, key, None) is not None
        )


def _model_below(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The mapping that a field holds, and the step to it: none, a dataset's name, or a list's entry."""
    origin, parts = get_origin(annotation), get_args(annotation)
    step = ".NAME" if origin is dict else "[]" if origin is tuple else ""
    inner = parts[-1] if origin is dict else parts[0] if origin is tuple else annotation
    return (inner, step) if isinstance(inner, type) and issubclass(inner, BaseModel) else (None, "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    default = field.get_default(call_default_factory=True)
    return "; may be left out" + (f", then {_shown(default)}" if default or default is None else "")


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """What the docstring of a record says of its fields."""
    text = inspect.cleandoc(model.__doc__ or "").partition("Attributes:\n")[2]
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", text, flags=re.MULTILINE)
    return {name: " ".join(meaning.split()).removesuffix(".") for name, meaning in entries}


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = str(value)
    return f'"{text[:40]}{"…" * (len(text) > 40)}"' if isinstance(value, str) else text


def _hint(value: Any, wanted: str) -> str:
    """How a number is written that YAML reads as text."""
    if (
        "number" not in wanted
        or not isinstance(value, str)
        or not re.fullmatch(r"[-+]?[\d.]*\d\.?(e[-+]?\d{1,2})?", value, re.I)
    ):
        return ""
    try:
        number = Decimal(value)
    except ArithmeticError:
        return ""
    if "e" not in value.lower():
        return f"; write {value} without quotation marks"
    digits, _, power = value.lower().partition("e")
    dotted = f"{digits if '.' in digits else digits + '.0'}e{int(power):+d}"
    return f"; YAML reads {value} as text: write {number:f} or {dotted}"
