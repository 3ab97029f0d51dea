"""Settings given as options: written into `da2k.yaml`, and said."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from da2k.construction.experts import check_ways, expert_ways
from da2k.construction.settings import (
    FILE_NAME,
    ExpertSettings,
    Settings,
    change_settings,
    read_settings,
    write_settings,
)
from da2k.construction.template import template
from da2k.construction.workspace import IMAGES, Workspace
from da2k.errors import BadInput
from da2k.files import write_text

Say = Callable[[str], None]

_OPTIONS = re.compile(r"(?P<model>.*?)(?P<options>( [A-Za-z_]\w*=\S+)*)", re.DOTALL)


def adjusted(workspace: Workspace, changes: Mapping[str, Any], say: Say | None = None) -> Workspace:
    """The workspace with other settings, which `da2k.yaml` has from now on; where it is not there, it is made.

    Args:
        workspace: open for writing.
        changes: values by dotted keys, such as "selection.audit"; those that are None, or as they were, change nothing.
        say: told each change, a line each, with what stood there before.

    Raises:
        BadInput: a value is not allowed; nothing is changed then.
    """
    path, new = workspace.folder / FILE_NAME, differing(workspace.settings, changes)
    before: Settings | None = None
    if not path.exists():
        settings = planned(workspace.folder, changes)
        write_text(path, template(settings))
    elif new:
        before = workspace.settings
        settings = change_settings(path, new)
    else:
        return workspace
    if say:
        for key, value in new.items():
            was = "" if before is None else f" (was {_told(_value(before, key))})"
            say(f"{FILE_NAME}: {key} = {_told(value)}{was}")
    return replace(workspace, settings=settings)


def planned(folder: Path, changes: Mapping[str, Any]) -> Settings:
    """The settings that a workspace will have after these changes; nothing is written.

    Raises:
        BadInput: `da2k.yaml` is there and wrong, or a change is not allowed.
    """
    path = folder / FILE_NAME
    settings = read_settings(path) if path.exists() else Settings()
    with TemporaryDirectory() as scratch:
        write_settings(Path(scratch, FILE_NAME), settings)
        return change_settings(Path(scratch, FILE_NAME), differing(settings, changes))


def require_scenarios(workspace: Workspace) -> None:
    """Make sure that the settings have the scenario of every photograph.

    Raises:
        BadInput: they have not; `da2k.yaml` was edited after the photographs were taken in.
    """
    scenarios = Counter(image.scenario for image in workspace.images())
    for name in sorted(scenarios.keys() - workspace.settings.scenarios.keys()):
        near = get_close_matches(name, workspace.settings.scenarios.keys() - scenarios.keys(), n=1)
        guess = f'; "{near[0]}" is there: did you mean "{name}"? If not,' if near else ";"
        raise BadInput(
            f'{workspace.folder / FILE_NAME}: scenarios: "{name}" is not there, but {scenarios[name]} photographs of '
            f"it were taken in{guess} put it back, or delete {workspace.folder / IMAGES / name} and run: "
            f"da2k build init {workspace.folder} --remove-missing"
        )


def differing(settings: Settings, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Those changes that are one."""
    return {key: value for key, value in changes.items() if value is not None and value != _value(settings, key)}


def _value(settings: Settings, key: str) -> Any:
    """What stands at a dotted key."""
    value: Any = settings.model_dump(mode="json")
    for part in key.split("."):
        value = value[part]
    return value


def scenario_changes(given: Sequence[str], settings: Settings) -> dict[str, Any]:
    """The change that makes these the scenarios: "fog", or "fog=manual"; none given, none made.

    Raises:
        BadInput: what stands behind "=" is neither automatic nor manual, or a name stands there twice.
    """
    if not given:
        return {}
    scenarios: dict[str, Any] = {}
    for text in given:
        name, equals, selection = text.partition("=")
        if equals and selection not in ("automatic", "manual"):
            raise BadInput(f'scenario "{text}": behind = stands automatic or manual')
        if name in scenarios:
            raise BadInput(f'scenario "{name}" stands there twice')
        known = settings.scenarios.get(name)
        scenarios[name] = known.model_dump(mode="json") if known else {"selection": "automatic"}
        if equals:
            scenarios[name]["selection"] = selection
    return {"scenarios": scenarios}


def expert_changes(given: Sequence[str], settings: Settings) -> dict[str, Any]:
    """The change that makes these the experts: a model string, with " key=value" for each of its options.

    An expert that the settings have already, by that name or by its model alone, stays as it is there. Of each other
    its name, its options and its local files are checked; what has to be downloaded need not be here yet.

    Raises:
        Da2kError: an expert's name, an option or a file is wrong.
    """
    if not given:
        return {}
    known = {expert.name: expert for expert in settings.experts}
    models = Counter(expert.model for expert in settings.experts)
    known |= {expert.model: expert for expert in settings.experts if models[expert.model] == 1}
    experts = []
    for text in given:
        if text not in known and models[text] > 1:
            names = ", ".join(f'"{name}"' for name, expert in known.items() if expert.model == text)
            raise BadInput(f'expert "{text}": which one is meant? da2k.yaml has {names}')
        if text in known:
            experts.append(known[text].model_dump(mode="json"))
            continue
        parts = _OPTIONS.fullmatch(text)
        assert parts is not None
        options = dict(option.split("=", 1) for option in parts["options"].split())
        expert = ExpertSettings(model=parts["model"], options=options)
        check_ways(expert_ways([expert]), packages=False)
        experts.append({"model": expert.model, **({"options": options} if options else {})})
    return {"experts": experts}


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(
            f"{name} ({entry['selection']})" if entry.get("selection") == "manual" else name
            for name, entry in value.items()
        )
    if isinstance(value, list):
        return ", ".join(
            " ".join([entry["model"], *(f"{key}={option}" for key, option in entry.get("options", {}).items())])
            for entry in value
        )
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)
