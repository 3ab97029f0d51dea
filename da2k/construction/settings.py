"""The settings of a benchmark being built: `da2k.yaml` in its workspace."""

import hashlib
import io
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from da2k.errors import BadInput, did_you_mean
from da2k.files import write_atomically
from da2k.pairs import SCENARIOS

FILE_NAME = "da2k.yaml"
SETTINGS_VERSION: Literal[1] = 1

MANUAL_ONLY = ("transparent_reflective", "object")
"""Scenarios whose pairs people choose (Depth Anything V2, section 6.2): experts err together on them."""

EXPERTS_OF_THE_PAPER = ("depth-anything-large", "depth-anything-v2-large", "marigold-v1-0", "geowizard-v1")

Mode = Literal["independent", "review"]
"""How the people who check an answer are asked: without seeing it, or with it before them."""

Share = Annotated[float, Field(ge=0, le=1)]
Natural = Annotated[int, Field(ge=1)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ImageSettings(_Settings):
    """Which photographs are taken in.

    Attributes:
        min_side: the shorter side of a photograph has at least so many pixels.
        near_duplicate_bits: photographs whose perceptual hashes differ in at most so many of 64 bits are reported.
    """

    min_side: Natural = 480
    near_duplicate_bits: Annotated[int, Field(ge=0, le=32)] = 4


class SamSettings(_Settings):
    """How segment-anything proposes masks; the defaults are those of `SamAutomaticMaskGenerator`.

    Attributes:
        model: the size of the network.
        checkpoint: its `.pth` file; None is the one of the data manifest.
        points_per_side: prompts a side of the picture.
        pred_iou_thresh, stability_score_thresh, box_nms_thresh: which masks are kept.
    """

    model: Literal["vit_h", "vit_l", "vit_b"] = "vit_h"
    checkpoint: str | None = None
    points_per_side: Annotated[int, Field(ge=1, le=256)] = 32
    pred_iou_thresh: Share = 0.88
    stability_score_thresh: Share = 0.95
    box_nms_thresh: Share = 0.7


class KeyPointSettings(_Settings):
    """Where a photograph's key points come from.

    Attributes:
        method: "sam", the points that prompted the masks of segment-anything; "grid", one point a cell, without
            weights.
        cells: cells along the longer side of the photograph, for the grid.
        sam: for segment-anything.
    """

    method: Literal["sam", "grid"] = "grid"
    cells: Annotated[int, Field(ge=2, le=256)] = 16
    sam: SamSettings = SamSettings()


class ExpertSettings(_Settings):
    """One expert.

    Attributes:
        model: a model string.
        options: its model options.
        again: other ways to run it, each a set of model options and `batch_size`; where its order of a pair
            changes from one way to another, the expert has no vote on that pair.
    """

    model: str
    options: dict[str, str] = {}
    again: tuple[dict[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The model string, with the options that set it apart."""
        return self.model + "".join(f" {key}={value}" for key, value in sorted(self.options.items()))


class SelectionSettings(_Settings):
    """Which pairs are drawn and which of them go to people.

    Attributes:
        quota: disputed pairs wanted from one image.
        attempts: pairs drawn from one image at most.
        ratio: the predicted depth ratio that a disputed pair has to exceed.
        ratio_rule: "any", in the map of at least one expert; "all", in the map of every expert that votes.
        min_distance: between the two points, as a share of the photograph's longer side.
        one_pair_a_mask: a key point belongs to at most one disputed pair.
        audit: the share of unanimous pairs that go to people too.
    """

    quota: Annotated[int, Field(ge=0)] = 2
    attempts: Natural = 200
    ratio: Annotated[float, Field(ge=1)] = 3.0
    ratio_rule: Literal["any", "all"] = "any"
    min_distance: Share = 0.05
    one_pair_a_mask: bool = True
    audit: Share = 0.0


class ScenarioSettings(_Settings):
    """One scenario.

    Attributes:
        selection: "automatic", by the experts' votes, or "manual", by people only.
        quota: disputed pairs wanted from one image, in place of the general quota.
        pairs: disputed pairs wanted in all; None is no limit.
    """

    selection: Literal["automatic", "manual"] = "automatic"
    quota: Annotated[int, Field(ge=0)] | None = None
    pairs: Natural | None = None


class CheckSettings(_Settings):
    """When people have decided a pair.

    Attributes:
        checks: people who check an answer, besides the one who gave it (two in the paper).
        dissent: "fourth", one more person is asked and a majority decides; "majority", nobody more is asked and a
            majority decides; "drop", the pair is dropped.
    """

    checks: Annotated[int, Field(ge=0, le=9)] = 2
    dissent: Literal["fourth", "majority", "drop"] = "fourth"


class AnnotationSettings(_Settings):
    """How pairs are shown to people.

    Attributes:
        mode: "independent", everyone answers without seeing the others; "review", the first answer is shown to the
            people who check it, who confirm or reject it (the paper's way, appendix C.3).
        gold: the share of all tasks that are gold pairs, whose answer is known; they show who answers carelessly.
        guidelines: a Markdown file shown to annotators, in place of da2k's own; a relative path is one in the
            workspace.
    """

    mode: Mode = "independent"
    gold: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    guidelines: str | None = None


class ReleaseSettings(_Settings):
    """What a release says about itself, and which pairs are in it.

    Attributes:
        licence: an SPDX id; of the labels. Photographs keep their own.
        date: YYYY-MM-DD; written as it is, so that a release can be made again byte for byte.
        audited: release the audited unanimous pairs too. They are easy by construction.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")] = "my-benchmark"
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")] = "0.1.0"
    description: str = ""
    licence: str | None = None
    creators: tuple[str, ...] = ()
    url: str | None = None
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None
    citation: str | None = None
    audited: bool = False


def _paper_scenarios() -> dict[str, ScenarioSettings]:
    return {name: ScenarioSettings(selection="manual" if name in MANUAL_ONLY else "automatic") for name in SCENARIOS}


class Settings(_Settings):
    """Everything that determines a benchmark besides its photographs and people's answers."""

    version: Literal[1] = SETTINGS_VERSION
    seed: Annotated[int, Field(ge=0)] = 0
    scenarios: Annotated[
        dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")], ScenarioSettings], Field(min_length=1)
    ] = Field(default_factory=_paper_scenarios)
    images: ImageSettings = ImageSettings()
    keypoints: KeyPointSettings = KeyPointSettings()
    experts: Annotated[tuple[ExpertSettings, ...], Field(min_length=2)] = tuple(
        ExpertSettings(model=name) for name in EXPERTS_OF_THE_PAPER
    )
    selection: SelectionSettings = SelectionSettings()
    checks: CheckSettings = CheckSettings()
    annotation: AnnotationSettings = AnnotationSettings()
    release: ReleaseSettings = ReleaseSettings()

    @model_validator(mode="after")
    def _experts_differ(self) -> Self:
        names = [expert.name for expert in self.experts]
        if len(set(names)) < len(names):
            raise ValueError("experts: the same expert stands twice")
        return self

    def is_automatic(self, scenario: str) -> bool:
        """Whether pairs of this scenario come from the experts' votes."""
        return self.scenarios[scenario].selection == "automatic"


def read_settings(path: Path) -> Settings:
    """Read `da2k.yaml`.

    Raises:
        BadInput: the file is missing, is not YAML, or a key or a value is not known; the message names each.
    """
    content = _yaml_of(path)
    try:
        return Settings.model_validate(_plain(content))
    except ValidationError as e:
        raise BadInput(f"{path}: {'; '.join(_problem(error) for error in e.errors())}") from None


def write_settings(path: Path, settings: Settings) -> None:
    """Write all settings, defaults included."""
    write_atomically(path, lambda f: f.write(_dump(_quoted(settings.model_dump(mode="json")))))


def change_settings(path: Path, changes: Mapping[str, Any]) -> Settings:
    """Change values in `da2k.yaml`, named by dotted keys such as "selection.audit"; its comments stay.

    Raises:
        BadInput: a value is not allowed; the file is then left as it was.
    """
    read_settings(path)
    content = _yaml_of(path)
    for key, value in changes.items():
        *parents, last = key.split(".")
        place = content
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = _quoted(value)
    try:
        settings = Settings.model_validate(_plain(content))
    except ValidationError as e:
        raise BadInput("; ".join(_problem(error) for error in e.errors())) from None
    write_atomically(path, lambda f: f.write(_dump(content)))
    return settings


def digest(*parts: Any) -> str:
    """SHA-256 over values that JSON can hold: names what work was made from."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _yaml_of(path: Path) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        yaml = YAML()
        yaml.preserve_quotes = True
        content = yaml.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file; is this a workspace? Begin one with: da2k build init") from None
    except (YAMLError, ValueError, RecursionError, OSError) as e:  # ruamel lets the last but one through
        raise BadInput(f"{path}: not readable as YAML ({' '.join(str(e).split())})") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path}: must hold keys and values")
    try:
        json.dumps(content, default=str, skipkeys=True, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadInput(f"{path}: a text holds half a character (\\ud800 to \\udfff), which no file can hold") from None
    return content


def _plain(content: Any) -> Any:
    """YAML's content with its dates, which stand there without quotes, as text."""
    if isinstance(content, Mapping):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_plain(value) for value in content]
    return content.isoformat() if isinstance(content, date) else content


def _quoted(content: Any) -> Any:
    """The content with quotes around each text that a reader of YAML 1.1 or 1.2 would take for something else."""
    import yaml
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(content, Mapping):
        return {key: _quoted(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_quoted(value) for value in content]
    if not isinstance(content, str):
        return content
    try:
        is_plain = yaml.safe_load(content) == content
    except (yaml.YAMLError, ValueError):  # ValueError: 2026-02-30, which looks like a date
        is_plain = False
    return content if is_plain else DoubleQuotedScalarString(content)


def _dump(content: Any) -> bytes:
    from ruamel.yaml import YAML

    yaml, stream = YAML(), io.BytesIO()
    yaml.width = 120
    yaml.dump(content, stream)
    return stream.getvalue()


def _problem(error: Any) -> str:
    """One validation error as "where: what", with the nearest known key for an unknown one."""
    location, kind = error["loc"], error["type"]
    where = ".".join(str(part) for part in location if part != "[key]")
    if kind == "extra_forbidden":
        return f"{where}: unknown key; {did_you_mean(str(location[-1]), _known_keys(location[:-1]))}"
    if where == "version":
        return f"version: {error['input']!r}: this da2k reads version {SETTINGS_VERSION}; use a newer da2k"
    if location[-1:] == ("[key]",):
        return f"{where}: a scenario's name has only letters, digits, _ . - and begins with a letter or a digit"
    if kind == "value_error":
        message = str(error["ctx"]["error"])
        return f"{where}: {message}" if where else message
    return f"{where}: {_what(where, kind, error)}"


def _what(where: str, kind: str, error: Any) -> str:
    """What is wrong with a value, by pydantic's type of the error."""
    limits: Mapping[str, Any] = error.get("ctx", {})
    if kind == "string_type" and isinstance(error["input"], int | float):
        told = json.dumps(error["input"])
        return f'{told} has to be text: put it in quotes, "{told}"{_EXAMPLES.get(where, "")}'
    if kind == "string_pattern_mismatch" and where in _EXAMPLES:
        return f'"{error["input"]}" is not of the right form{_EXAMPLES[where]}'
    if kind == "too_short":
        return f"at least {limits['min_length']} {where if limits['min_length'] > 1 else where.removesuffix('s')}" + (
            " are needed" if limits["min_length"] > 1 else " is needed"
        )
    if kind == "literal_error":
        return f"must be {limits['expected']}"
    if kind == "greater_than_equal":
        return f"must be {limits['ge']:g} or more"
    if kind == "less_than_equal":
        return f"must be {limits['le']:g} or less"
    return next((told for start, told in _WANTED.items() if kind.startswith(start)), str(error["msg"]))


_EXAMPLES = {
    "release.version": '; three numbers, such as "0.1.0"',
    "release.date": '; year, month and day, such as "2026-01-31"',
    "release.name": "; letters, digits, spaces, _ . - and first a letter or a digit",
}
"""What the texts of a fixed form look like."""

_WANTED = {
    "model_": "must hold keys and values",
    "dict_": "must hold keys and values",
    "tuple_": "must be a list",
    "string_": "must be text",
    "int_": "must be a whole number",
    "float_": "must be a number",
    "finite_": "must be a finite number",
    "bool_": "must be true or false",
    "missing": "is missing",
}
"""What is wanted, by the beginning of pydantic's type of the error."""


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    """The keys that the settings know at this place."""
    here: type[BaseModel] = Settings
    inner: Mapping[str, type[BaseModel]] = {
        "scenarios": ScenarioSettings,
        "images": ImageSettings,
        "keypoints": KeyPointSettings,
        "sam": SamSettings,
        "experts": ExpertSettings,
        "selection": SelectionSettings,
        "checks": CheckSettings,
        "annotation": AnnotationSettings,
        "release": ReleaseSettings,
    }
    for part in location:
        here = inner.get(str(part), here) if isinstance(part, str) else here
    return list(here.model_fields)
