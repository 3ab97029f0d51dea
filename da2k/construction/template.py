"""`da2k.yaml` as a new workspace begins with it: every key, and beside it what it means."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from da2k.construction.settings import Settings

_HEAD = """\
# The settings of a benchmark of depth order: https://arxiv.org/abs/2406.09414, section 6.2.
# A key may be left out; it then has the value that a new workspace begins with.
# A scenario may also have quota (disputed pairs wanted from an image) and pairs (disputed pairs wanted in all).
"""

COMMENTS = {
    "version": "of these settings",
    "seed": "of everything that is drawn by chance",
    "scenarios": "a folder of images/ each; automatic: pairs by the experts' votes; manual: people choose them",
    "images.min_side": "pixels that the shorter side of a photograph has at least",
    "images.near_duplicate_bits": "photographs whose perceptual hashes differ in so few of 64 bits are reported",
    "keypoints.method": "grid: one point a cell, no weights; sam: the prompts of segment-anything's masks",
    "keypoints.cells": "grid: cells along the longer side",
    "keypoints.sam.model": "vit_h, vit_l or vit_b",
    "keypoints.sam.checkpoint": "its .pth file; null: the one that da2k data fetch gets",
    "keypoints.sam.points_per_side": "prompts along each side",
    "keypoints.sam.pred_iou_thresh": "least quality of a mask, by the network's own estimate",
    "keypoints.sam.stability_score_thresh": "least stability of a mask",
    "keypoints.sam.box_nms_thresh": "overlap from which on masks are the same",
    "experts": "model strings; options: {key: value} as --model-option; again: other ways to run one",
    "selection.quota": "disputed pairs wanted from an image",
    "selection.attempts": "pairs drawn from an image at most",
    "selection.ratio": "the predicted depth ratio that a disputed pair exceeds",
    "selection.ratio_rule": "any: in the map of one expert at least; all: in the maps of all that vote",
    "selection.min_distance": "between the two points, as a share of the longer side",
    "selection.one_pair_a_mask": "a key point is in one disputed pair at most",
    "selection.audit": "the share of unanimous pairs that go to people too",
    "checks.checks": "people who check an answer",
    "checks.dissent": "fourth: one more person is asked; majority: most people's answer holds; drop: the pair goes",
    "annotation.mode": "independent: nobody sees another's answer; review: the first is shown to those who check it",
    "annotation.gold": "the share of tasks that are gold pairs, once there are some: da2k annotate gold",
    "annotation.guidelines": "a Markdown file shown to annotators; null: da2k's own",
    "release.name": "of the benchmark",
    "release.version": "of the release",
    "release.description": "a sentence or two",
    "release.licence": "of the labels, an SPDX id",
    "release.creators": "names",
    "release.url": "where it is published",
    "release.date": '"YYYY-MM-DD"',
    "release.citation": "how to cite it",
    "release.audited": "release the audited unanimous pairs too",
}
"""What stands behind each key."""

_PLAIN = re.compile(r"[a-z][a-z0-9_.-]*[a-z0-9]")
_NOT_PLAIN = {"yes", "no", "on", "off", "true", "false", "null"}


def template(settings: Settings) -> str:
    """The text of `da2k.yaml` with these settings."""
    return _HEAD + "\n".join(_section(settings.model_dump(mode="json"))) + "\n"


def _section(values: Mapping[str, Any], path: str = "", indent: str = "") -> Iterator[str]:
    for key, value in values.items():
        place = f"{path}{key}"
        comment = f"  # {COMMENTS[place]}" if place in COMMENTS else ""
        if key == "scenarios":
            yield f"{indent}{key}:{comment}"
            yield from (f"{indent}  {_flow(name)}: {_flow(_told(scenario))}" for name, scenario in value.items())
        elif key == "experts":
            yield f"{indent}{key}:{comment}"
            yield from (f"{indent}  - {_flow(_told(expert))}" for expert in value)
        elif isinstance(value, Mapping):
            yield f"{indent}{key}:{comment}"
            yield from _section(value, f"{place}.", f"{indent}  ")
        else:
            yield f"{indent}{key}: {_flow(value)}{comment}"


def _told(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What is worth saying of a scenario or an expert."""
    return {key: value for key, value in entry.items() if value not in (None, {}, [])}


def _flow(value: Any) -> str:
    """A value on one line of YAML."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_flow(key)}: {_flow(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value not in _NOT_PLAIN:
        return value
    return json.dumps(value, ensure_ascii=False)
