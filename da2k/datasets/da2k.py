"""The official DA-2K layout: `annotations.json` beside `images/<scenario>/<file>` (Depth Anything V2, DA-2K.md)."""

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from da2k.errors import BadInput, did_you_mean
from da2k.files import write_text
from da2k.images import Photo
from da2k.pairs import SCENARIOS, Pair, Point, scenario_of

ANNOTATIONS = "annotations.json"
_FIELDS = ("point1", "point2", "closer_point")


@dataclass(frozen=True, eq=False)
class Benchmark:
    """Pairs on photographs in a folder.

    Attributes:
        name: what results call it.
        root: the folder that holds `annotations.json` and `images/`.
        pairs: all pairs, in the file's order.
        revision: the release, where it is known.
        partial: True if it has fewer images or pairs than its release and that was allowed.
        notes: what is unusual but no error, such as scenarios outside the paper's eight.
    """

    name: str
    root: Path
    pairs: tuple[Pair, ...]
    revision: str | None = None
    partial: bool = False
    notes: tuple[str, ...] = field(default=(), repr=False)

    @cached_property
    def by_image(self) -> Mapping[str, tuple[Pair, ...]]:
        """The pairs of each image, images in the file's order."""
        grouped: dict[str, list[Pair]] = {}
        for pair in self.pairs:
            grouped.setdefault(pair.image, []).append(pair)
        return {image: tuple(pairs) for image, pairs in grouped.items()}

    @property
    def images(self) -> tuple[str, ...]:
        """The annotated images, `images/<scenario>/<file>`, in the file's order."""
        return tuple(self.by_image)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over what the labels state; the order of images, pairs and points does not change it."""
        lines = sorted(f"{p.image}\t{tuple(p.closer_point)}\t{tuple(p.farther_point)}" for p in self.pairs)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def photo(self, image: str) -> Photo:
        """The photograph of this image.

        Raises:
            BadInput: the file is missing, not an image, or too large.
        """
        return Photo.open(locate(self.root, image), image)


def locate(root: Path, image: str) -> Path:
    """The file of an image; names that differ only in Unicode normalisation (macOS) are found too."""
    for form in (image, unicodedata.normalize("NFC", image), unicodedata.normalize("NFD", image)):
        try:
            if (root / form).is_file():
                return root / form
        except OSError:  # a folder that may not be entered; opening the file will say so
            break
    return root / image


def find_root(folder: Path) -> Path:
    """The folder with `annotations.json`: this one, or `DA-2K/` or `DA-2K/DA-2K/` in it, as the zip may unpack.

    Raises:
        BadInput: none of them holds an `annotations.json`.
    """
    for candidate in (folder, folder / "DA-2K", folder / "DA-2K" / "DA-2K"):
        if (candidate / ANNOTATIONS).is_file():
            return candidate
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder")
    raise BadInput(f"{folder}: no {ANNOTATIONS} here, nor in DA-2K/ below it; give the folder that holds it")


def read_benchmark(folder: Path, *, name: str | None = None, revision: str | None = None) -> Benchmark:
    """Read the labels of a benchmark folder. Images are not opened.

    Raises:
        BadInput: `annotations.json` is missing, is not JSON of the official format, repeats a key, has equal
            or negative points, or lists no pair. The message names the image, the pair's index and the field.
    """
    root = find_root(folder)
    path = root / ANNOTATIONS
    pairs = tuple(read_annotations(path))
    if not pairs:
        raise BadInput(f"{path}: holds no pair")
    return Benchmark(name or root.resolve().name, root, pairs, revision, notes=tuple(_notes(pairs)))


def write_annotations(path: Path, pairs: tuple[Pair, ...]) -> None:
    """Write pairs in the official format: the closer point first, `closer_point: "point1"`."""
    entries: dict[str, list[dict[str, Any]]] = {}
    for pair in pairs:
        entry = {"point1": list(pair.closer_point), "point2": list(pair.farther_point), "closer_point": "point1"}
        entries.setdefault(pair.image, []).append(entry)
    write_text(path, json.dumps(entries, indent=1, ensure_ascii=False) + "\n")


def read_annotations(path: Path) -> Iterator[Pair]:
    """The pairs of a file in the official format, by whatever name.

    Raises:
        BadInput: the file is missing or not of that format; the message names the image, the pair's index and the
            field.
    """
    try:
        content = json.loads(path.read_bytes(), object_pairs_hook=lambda items: _unique(items, path))
    except (ValueError, RecursionError) as e:
        raise BadInput(f"{path}: not valid JSON ({e})") from None
    except OSError as e:
        raise BadInput(f"{path}: {e.strerror or e}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path}: must be an object from image paths to lists of pairs")
    for image, entries in content.items():
        where = f'{path}: "{image}"'
        try:
            scenario_of(image)
        except BadInput as e:
            raise BadInput(f"{path}: {e}") from None
        if not isinstance(entries, list):
            raise BadInput(f"{where}: must be a list of pairs")
        for index, entry in enumerate(entries):
            yield _pair(image, entry, f"{where}[{index}]")


def _unique(items: list[tuple[str, Any]], path: Path) -> dict[str, Any]:
    repeated = [key for key, count in Counter(key for key, _ in items).items() if count > 1]
    if repeated:
        raise BadInput(f'{path}: key "{repeated[0]}" stands twice in one object; JSON readers would keep only one')
    return dict(items)


def _pair(image: str, entry: Any, where: str) -> Pair:
    if not isinstance(entry, dict):
        raise BadInput(f"{where}: must be an object with {', '.join(_FIELDS)}")
    for key in entry:
        if key not in _FIELDS:
            raise BadInput(f'{where}: unknown field "{key}"; {did_you_mean(key, _FIELDS)}')
    for key in _FIELDS:
        if key not in entry:
            raise BadInput(f'{where}: field "{key}" is missing')
    if entry["closer_point"] not in ("point1", "point2"):
        raise BadInput(f'{where}.closer_point: must be "point1" or "point2", not {entry["closer_point"]!r}')
    point1, point2 = (_point(entry[key], f"{where}.{key}") for key in ("point1", "point2"))
    try:
        return Pair(image, point1, point2, 1 if entry["closer_point"] == "point1" else 2)
    except BadInput as e:
        raise BadInput(f"{where}: {e}") from None


def _point(value: Any, where: str) -> Point:
    if not (isinstance(value, list) and len(value) == 2 and all(type(v) is int for v in value)):
        raise BadInput(f"{where}: must be [row, col], two integers, not {value!r}")
    if min(value) < 0 or max(value) >= 2**31:
        raise BadInput(f"{where}: {value} is outside any image")
    return Point(*value)


def _notes(pairs: tuple[Pair, ...]) -> Iterator[str]:
    unknown = sorted({pair.scenario for pair in pairs} - set(SCENARIOS))
    if unknown:
        yield f"scenarios outside the paper's eight: {', '.join(unknown)}"
    repeated = sum(count - 1 for count in Counter(pair.id for pair in pairs).values())
    if repeated:
        yield f"{repeated} pairs repeat another pair of the same image; each is counted"
    closer: dict[str, Point] = {}
    opposed = [pair for pair in pairs if closer.setdefault(pair.id, pair.closer_point) != pair.closer_point]
    if opposed:
        yield f"{len(opposed)} pairs state the opposite of another pair, the first {opposed[0].id}; one must be wrong"
