"""The options of a model, `--model-option key=value`, checked against what its adapter understands."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from da2k.errors import BadModel, did_you_mean


class Options(BaseModel):
    """Base of the adapters' option sets: unknown keys are refused, text is converted to the fields' types."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


OptionsT = TypeVar("OptionsT", bound=Options)


def parse_options(kind: type[OptionsT], given: Mapping[str, object], where: str) -> OptionsT:
    """Check the given options.

    Args:
        kind: the option set of the adapter.
        given: keys and values, text or already typed.
        where: what the options belong to, for messages: a model string or a file.

    Raises:
        BadModel: an option is unknown or has a wrong value; the message names it and what is possible.
    """
    try:
        return kind.model_validate(dict(given))
    except ValidationError as e:
        # An unknown key first: it is often the misspelt name of one that is then missing.
        first = min(e.errors(), key=lambda error: error["type"] != "extra_forbidden")
        name = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            raise BadModel(f'{where}: unknown option "{name}"; {did_you_mean(name, kind.model_fields)}') from None
        label = ".".join(str(part) for part in first["loc"]) or "options"
        if first["type"] == "missing":
            raise BadModel(f'{where}: option "{label}" is needed; give --model-option {label}=…') from None
        raise BadModel(f"{where}: option {label}={first['input']!r}: {first['msg']}") from None
