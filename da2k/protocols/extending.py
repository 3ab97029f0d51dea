"""Records that say only what differs from one that comes with da2k."""

from collections.abc import Mapping
from typing import Any

_PROSE = {"name", "version", "title", "model_input", "datasets", "anchors", "unknown", "source"}
_TOGETHER = {"list": "frames", "input_crop": "metric_crop"}
"""Choices of a dataset whose change makes what is said of another one false too."""


def extended(name: str, base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record that extends another.

    Mappings are merged, all else is replaced, and a dataset set to null is left out. What the base says of itself is
    not inherited: its published numbers, status and notes, and where a choice comes from that is made differently.

    Args:
        name: of the base.
        base: its fields.
        own: the fields of the record that extends it; they may still be of any type.
    """
    merged = _merged(_without_claims(name, base), own)
    if isinstance(merged.get("datasets"), Mapping):
        merged["datasets"] = {key: rules for key, rules in merged["datasets"].items() if rules is not None}
    changed = _changed(base, merged)
    for dataset in _mapping(merged.get("datasets")):
        _drop_evidence(dataset, base, merged, own, floor_changed="alignment.floor" in changed)
    if "source" not in own:
        chosen = f"Own choice: {', '.join(changed)}. All else as" if changed else "As"
        merged["source"] = f"{chosen} protocol {name}: {base['source']}"
    return merged


def _without_claims(name: str, base: Mapping[str, Any]) -> dict[str, Any]:
    inherited = {key: value for key, value in base.items() if key != "anchors"}
    if "datasets" in base:
        inherited["title"] = f"{name} with other choices"
        inherited["datasets"] = {dataset: _unanchored(rules) for dataset, rules in base["datasets"].items()}
    return inherited


def _unanchored(rules: Mapping[str, Any]) -> dict[str, Any]:
    if rules["status"] == "unavailable":
        return dict(rules)
    return {**rules, "status": "unanchored", "note": None}


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        before = base.get(key)
        both = isinstance(value, Mapping) and isinstance(before, Mapping)
        merged[key] = _merged(_mapping(before), value) if both else value
    return merged


def _changed(base: Mapping[str, Any], merged: Mapping[str, Any]) -> list[str]:
    """The choices for all datasets that differ, such as alignment.floor."""
    changed = []
    for key in merged.keys() - _PROSE:
        before, after = base.get(key), merged[key]
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            changed += [f"{key}.{part}" for part in after if after[part] != before.get(part)]
        elif before != after:
            changed.append(key)
    return sorted(changed)


def _drop_evidence(
    dataset: str, base: Mapping[str, Any], merged: Mapping[str, Any], own: Mapping[str, Any], *, floor_changed: bool
) -> None:
    """Leave out where a dataset's choices come from if they are made differently, unless the record itself says it."""
    before, rules = base["datasets"].get(dataset), merged["datasets"][dataset]
    if before is None or not isinstance(rules, dict) or not isinstance(rules.get("evidence"), Mapping):
        return
    changed = {key for key in rules if rules[key] != before.get(key)}
    changed |= {other for key, other in _TOGETHER.items() if key in changed}
    if floor_changed and _mapping(base.get("alignment")).get("floor") == "1/cap":
        changed.add("clamp")  # its evidence speaks of the cap that the floor came from
    given = _mapping(_mapping(_mapping(own.get("datasets")).get(dataset)).get("evidence"))
    said = rules["evidence"].items()
    rules["evidence"] = {key: text for key, text in said if key in given or key not in changed}


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}
