"""Writes frames the way each dataset has them on disk, with the list that names them.

Images are stored without loss whatever their ending, so that a frame is the same in every format; `jpeg=True` stores
real JPEGs where the dataset does. What was not measured is stored as the dataset stores it.
"""

import struct
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import yaml
from PIL import Image

from da2k.protocols.dense import Clamp, DatasetRules, Range

DRIVE = "2011_09_26_drive_0002_sync"


class Sample(NamedTuple):
    """A frame: name without ending, uint8 [H, W, 3], float32 metres [H, W], bool [H, W] where it was measured."""

    stem: str
    rgb: np.ndarray
    depth: np.ndarray
    valid: np.ndarray


def make_samples(count=3, size=(24, 40), seed=0, measured=0.5) -> list[Sample]:
    """Random frames in which this share is measured, at 1 to 60 m in steps of 1/256 m."""
    rng = np.random.default_rng(seed)
    samples = []
    for i in range(count):
        rgb = rng.integers(0, 256, (*size, 3), np.uint8)
        depth = rng.integers(256, 256 * 60, size).astype(np.float32) / np.float32(256)
        samples.append(Sample(f"{i:05}", rgb, depth, rng.random(size) < measured))
    return samples


def in_millimetres(sample: Sample) -> Sample:
    """The frame with its depth in steps of 1 mm, the nearest float32 to each, as BTS' PNGs give it."""
    return sample._replace(depth=np.round(sample.depth.astype(np.float64) * 1000).astype(np.float32) / np.float32(1000))


def black_border(sample: Sample) -> Sample:
    """The frame with the border that BTS gave to images."""
    rgb = np.zeros_like(sample.rgb)
    rgb[7:-6, 7:-8] = sample.rgb[7:-6, 7:-8]
    return sample._replace(rgb=rgb)


def white_border(sample: Sample) -> Sample:
    """The frame with the border that images have in the dataset's own file."""
    rgb = np.full_like(sample.rgb, 255)
    rgb[7:-6, 7:-8] = sample.rgb[7:-6, 7:-8]
    return sample._replace(rgb=rgb)


def write_kitti(root: Path, samples: Sequence[Sample], *, images="raw", truths="data_depth_annotated/val") -> Path:
    rows = []
    for s in samples:
        image = f"2011_09_26/{DRIVE}/image_02/data/{s.stem}.png"
        truth = f"{DRIVE}/proj_depth/groundtruth/image_02/{s.stem}.png"
        _image(root / images / image, s.rgb)
        _grey16(root / truths / truth, s, 256)
        rows.append((image, truth, "721.5377"))
    return write_list(root / "kitti_list.txt", rows)


def write_nyu_bts(root: Path, samples: Sequence[Sample], *, jpeg=False) -> Path:
    rows = []
    for i, s in enumerate(samples):
        image, truth = f"bathroom/rgb_{i:05}.jpg", f"bathroom/sync_depth_{i:05}.png"
        _image(root / image, s.rgb, jpeg)
        _grey16(root / truth, s, 1000)
        rows.append((image, truth, "518.8579"))
    return write_list(root / "nyu_list.txt", rows)


def write_nyu_mat(root: Path, samples: Sequence[Sample], *, name="nyu_depth_v2_labeled.mat", filled=False) -> Path:
    """MATLAB's 7.3: HDF5 behind 512 bytes, axes reversed, chunks compressed; `depths` has no hole."""
    root.mkdir(parents=True, exist_ok=True)
    raw = np.stack([np.where(s.valid, s.depth, 0).T for s in samples]).astype(np.float32)
    dense = np.where(raw > 0, raw, np.float32(3.5))
    with h5py.File(root / name, "w", userblock_size=512) as file:
        chunked = {"chunks": True, "compression": "gzip"}
        file.create_dataset("images", data=np.stack([s.rgb.transpose(2, 1, 0) for s in samples]), **chunked)
        file.create_dataset("depths", data=dense, **chunked)
        file.create_dataset("rawDepths", data=dense if filled else raw, **chunked)
    rows = [(f"kitchen/rgb_{i:05}.jpg", f"kitchen/sync_depth_{i:05}.png", "518.8579") for i in range(len(samples))]
    return write_list(root / "nyu_list.txt", rows)


def write_sintel(root: Path, samples: Sequence[Sample], *, render_pass="final") -> Path:
    rows = []
    for i, s in enumerate(samples):
        image, truth = f"alley_1/frame_{i:04}.png", f"depth/alley_1/frame_{i:04}.dpt"
        _image(root / render_pass / image, s.rgb)
        write_dpt(root / truth, np.where(s.valid, s.depth, 0))
        rows.append((f"final/{image}", truth))
    return write_list(root / "sintel_list.txt", rows)


def write_eth3d(root: Path, samples: Sequence[Sample], *, jpeg=False, exif: Image.Exif | None = None) -> Path:
    """The layout into which the site's archives unpack; the list is that of the frames' tar files."""
    rows = []
    for s in samples:
        image, truth = f"office/images/dslr_images/{s.stem}.JPG", f"office/ground_truth_depth/dslr_images/{s.stem}.JPG"
        _image(root / image, s.rgb, jpeg, exif)
        (root / truth).parent.mkdir(parents=True, exist_ok=True)
        np.where(s.valid, s.depth, np.inf).astype("<f4").tofile(root / truth)
        rows.append((f"rgb/{image}", f"depth/office_dslr_depth/{truth}"))
    return write_list(root / "eth3d_list.txt", rows)


def write_diode(root: Path, samples: Sequence[Sample], *, part="indoors") -> Path:
    """Depth is a number also where the mask is 0, as in the dataset."""
    rows = []
    for s in samples:
        stem = f"{part}/scene_00021/scan_00189/{s.stem}"
        _image(root / f"{stem}.png", s.rgb)
        np.save(root / f"{stem}_depth.npy", np.where(s.valid, s.depth, 0.25).astype(np.float32)[..., None])
        np.save(root / f"{stem}_depth_mask.npy", s.valid.astype(np.float32))
        rows.append((f"{stem}.png", f"{stem}_depth.npy", f"{stem}_depth_mask.npy"))
    return write_list(root / "diode_list.txt", rows)


WRITERS: dict[str, Callable[[Path, Sequence[Sample]], Path]] = {
    "kitti-annotated": write_kitti,
    "nyu-bts": write_nyu_bts,
    "nyu-mat": write_nyu_mat,
    "sintel-final": write_sintel,
    "sintel-clean": lambda root, samples: write_sintel(root, samples, render_pass="clean"),
    "eth3d": write_eth3d,
    "diode": write_diode,
}
"""By reader."""


def write_dpt(path: Path, depth: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = depth.shape
    path.write_bytes(struct.pack("<fii", 202021.25, width, height) + depth.astype("<f4").tobytes())


def write_list(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    path.write_text("".join(" ".join(row) + "\n" for row in rows))
    return path


def write_manifest(path: Path, dataset: str, listed: Path) -> Path:
    """A data manifest of one dataset, which pins this list."""
    entry = {
        "id": dataset,
        "title": dataset,
        "url": "https://example.org/",
        "licence": "CC0-1.0",
        "licence_evidence": "written by a test",
        "redistribution": "yes",
        "attribution": "none",
        "citation": "none",
        "revision": "1",
        "used_for": "tests",
        "instructions": "made by a test",
        "lists": [
            {
                "url": "https://example.org/list.txt",
                "name": listed.name,
                "sha256": sha256(listed.read_bytes()).hexdigest(),
                "rows": len(listed.read_text().splitlines()),
            }
        ],
    }
    path.write_text(yaml.safe_dump({"datasets": [entry]}))
    return path


def rules_for(reader: str, frames: int = 3, listed: str = "list.txt") -> DatasetRules:
    """The choices of a protocol that has no limits, for such files."""
    return DatasetRules(
        reader=reader,
        frames=frames,
        list=listed,
        metric_crop="none",
        range=Range(low=0.0, high=1000.0),
        clamp=Clamp(low=None, high=1000.0),
        align_corners=True,
        status="unanchored",
        evidence={},
    )


def _image(path: Path, rgb: np.ndarray, jpeg=False, exif: Image.Exif | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"exif": exif} if exif else {}
    if jpeg:
        Image.fromarray(rgb).save(path, "JPEG", quality=95, **options)
    else:
        Image.fromarray(rgb).save(path, "PNG", compress_level=1, **options)


def _grey16(path: Path, sample: Sample, steps: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.round(sample.depth.astype(np.float64) * steps)
    Image.fromarray(np.where(sample.valid, values, 0).astype(np.uint16)).save(path)
