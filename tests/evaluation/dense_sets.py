"""Small sets of frames with a protocol of their own, and models whose maps are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import yaml

from da2k.datasets.frames import FrameSet
from da2k.datasets.open_frames import open_frames
from da2k.evaluation.dense import evaluate_dense
from da2k.models.declaration import Declaration, write_declaration
from da2k.protocols import DenseProtocol, dense_protocol
from tests.datasets.native_formats import WRITERS, Sample, make_samples, rules_for, write_manifest

DATASETS = {
    "kitti-annotated": "kitti",
    "nyu-bts": "nyu",
    "nyu-mat": "nyu",
    "sintel-clean": "sintel",
    "sintel-final": "sintel",
    "eth3d": "eth3d",
    "diode": "diode",
}
SCALE_FREE = "scale_invariant_depth"
LIMITS = {"range": {"low": 0.001, "high": 80.0}, "clamp": {"low": 0.001, "high": 80.0}}


@dataclass(frozen=True)
class Frames:
    """Frames on disk, their list, and the file of a protocol for them."""

    root: Path
    reader: str
    list: Path
    protocol: Path
    samples: Sequence[Sample]

    @property
    def dataset(self) -> str:
        return DATASETS[self.reader]

    @property
    def record(self) -> DenseProtocol:
        return dense_protocol(str(self.protocol))

    @cached_property
    def manifest(self) -> Path:
        """A data manifest that pins the list as it is when this is first asked for."""
        return write_manifest(self.root.with_name(f"{self.root.name}.manifest.yaml"), self.dataset, self.list)

    def open(self, **options) -> FrameSet:
        """The frames by the protocol's own list."""
        rules = self.record.rules(self.dataset)
        return open_frames(self.dataset, rules, self.root, manifest=self.manifest, **options)


def make_frames(
    root: Path, reader="kitti-annotated", count=4, size=(24, 40), base="metric-median", samples=None, **choices
) -> Frames:
    """Write frames and a protocol that has no crop; `choices` are of the dataset, over `LIMITS`."""
    samples = make_samples(count, size) if samples is None else samples
    listed = WRITERS[reader](root, samples)
    protocol = root.with_name(f"{root.name}.yaml")
    write_protocol(protocol, reader, listed.name, len(samples), base, **choices)
    return Frames(root, reader, listed, protocol, samples)


def write_protocol(path: Path, reader: str, listed: str, frames: int, base="metric-median", **choices) -> None:
    rules = rules_for(reader, frames, listed).model_dump() | LIMITS | choices
    datasets = dict.fromkeys(dense_protocol(base).datasets) | {DATASETS[reader]: rules}
    fields = {"extends": base, "name": f"of-{path.stem}", "version": 1, "datasets": datasets}
    path.write_text(yaml.safe_dump(fields))


def leaning(pixels: np.ndarray) -> np.ndarray:
    """A positive map, float32 [H, W], that depends on the pixels and on the place, left and right not alike."""
    columns = np.linspace(0, 9, pixels.shape[1], dtype=np.float32)
    return pixels[..., 0].astype(np.float32) / 32 + pixels[..., 1].astype(np.float32) / 64 + 2 + columns


def score(frames, model=leaning, **options):
    options.setdefault("kind", SCALE_FREE)
    return evaluate_dense(model, frames.open(), str(frames.protocol), **options)


def write_maps(folder, frames, maps, kind=SCALE_FREE, **fields):
    """A predictions folder with a map for each frame that has one in `maps`."""
    folder.mkdir(exist_ok=True)
    write_declaration(folder, Declaration(model="stored", kind=kind, **fields))
    for frame, values in zip(frames.open().frames, maps, strict=True):
        if values is not None:
            path = (folder / frame.name).with_suffix(".npy")
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, values)
    return f"predictions:{folder}"


def maps_of(frames):
    return [leaning(sample.rgb) for sample in frames.samples]
