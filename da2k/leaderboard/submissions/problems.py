"""What is wrong with a submission: all of it at once, each with the file, the field and what to do."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from da2k.errors import did_you_mean
from da2k.leaderboard.text import shown

SHOWN = 20
"""So many problems of one sort are told one by one; the others are counted."""
_LEAVE_OUT = "leave it out"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong; every text is made of characters that can be seen, and is bounded.

    Attributes:
        file: in the submission, or the submission itself.
        field: of the file, such as `scenarios.indoor.correct`; "" for the file as a whole.
        what: is wrong.
        todo: mends it.
    """

    file: str
    field: str
    what: str
    todo: str

    def __post_init__(self) -> None:
        for name in ("file", "field", "what", "todo"):
            object.__setattr__(self, name, shown(getattr(self, name)))

    def __str__(self) -> str:
        place = f"{self.file}: {self.field}" if self.field else self.file
        return f"{place}: {self.what}; {self.todo}"


def capped(problems: Iterable[Problem], file: str, sort: str) -> Iterator[Problem]:
    """The first problems of one sort, and how many more there are."""
    found = list(problems)
    yield from found[:SHOWN]
    if len(found) > SHOWN:
        yield Problem(file, "", f"{len(found) - SHOWN} more {sort}", "mend those named first, then check again")


def field_problems(error: ValidationError, record: type[BaseModel], file: str) -> Iterator[Problem]:
    """Every field that does not validate; what concerns the record as a whole has the field ""."""
    for number, each in enumerate(error.errors(include_url=False, include_context=False)):
        field = ".".join(str(part) for part in each["loc"])
        message = each["msg"].removeprefix("Value error, ")
        if each["type"] == "missing":
            yield Problem(file, field, "is missing", "add it")
        elif each["type"] == "extra_forbidden":
            near = len(each["loc"]) == 1 and number < SHOWN  # looking for the nearest of a million fields takes hours
            known = did_you_mean(str(each["loc"][-1])[:100], record.model_fields) if near else ""
            yield Problem(file, field, "is an unknown field", known or "leave it out")
        elif each["type"] == "value_error":
            yield Problem(file, field, *_remedied(message))
        else:
            yield Problem(file, field, f"{_value(each['input'])}{_lowered(message)}", "mend it")


def text_problems(kind: Any, texts: Mapping[str, object], file: str) -> Iterator[Problem]:
    """The fields whose text is not of this kind, one of `da2k.leaderboard.text`; None is no text."""
    adapter = TypeAdapter[str](kind)
    for field, text in texts.items():
        try:
            if text is not None:
                adapter.validate_python(text)
        except ValidationError as e:
            what, todo = _remedied(e.errors()[0]["msg"].removeprefix("Value error, "))
            yield Problem(file, field, f"{_value(text, 60)}{_lowered(what)}", todo)


def _remedied(message: str) -> tuple[str, str]:
    """What is wrong, and what to do where the message says it too."""
    what = message.removesuffix(f"; {_LEAVE_OUT}")
    return what, "mend it" if what == message else _LEAVE_OUT


def _value(found: object, longest: int = 60) -> str:
    """A plain value in quotes, then a colon; nothing for a mapping or a list, which may be of any size."""
    if isinstance(found, str):
        return f'"{shown(found, longest)}": '
    return f"{found}: " if found is None or isinstance(found, bool | float) else ""


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:]
