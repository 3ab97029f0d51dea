"""Writing a model's maps to a predictions folder, which scores exactly as the model itself."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial as bound
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from da2k.datasets.benchmarks import open_benchmark
from da2k.datasets.da2k import ANNOTATIONS, locate
from da2k.datasets.manifest import load_manifest
from da2k.datasets.open_frames import open_frames
from da2k.depth import DepthMap
from da2k.errors import BadInput
from da2k.evaluation.dense.inputs import open_input, prepare_model
from da2k.evaluation.inference import BatchSize, reason, run_model
from da2k.evaluation.journal import Journal
from da2k.evaluation.preview import write_preview
from da2k.evaluation.provenance import fingerprint
from da2k.files import write_atomically
from da2k.images import Photo
from da2k.models import Model
from da2k.models.declaration import DECLARATION, Declaration, read_declaration, write_declaration
from da2k.protocols import dense_protocol
from da2k.protocols.dense import BENCHMARKS
from da2k.results import Failure

PREVIEWS = "previews"
"""Where pictures of the maps go, apart from the maps: a `.png` beside a map would be taken for a map."""

_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm")


@dataclass(frozen=True)
class Predicted:
    """What `predict` did: maps written now, maps an interrupted run had written, images that failed."""

    folder: Path
    written: int
    resumed: int
    failures: tuple[Failure, ...]


def predict(
    model: Model,
    images: str | Path,
    out: str | Path,
    *,
    root: Path | None = None,
    partial: bool = False,
    protocol: str | None = None,
    own_list: Path | None = None,
    batch_size: BatchSize = 1,
    preview: bool = False,
    say: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Predicted:
    """Write one `.npy` map (float32, the network's own size) an image, and `predictions.yaml`.

    Args:
        model: a loaded model.
        images: a benchmark by name or folder, a folder of photographs, or one photograph.
        out: the predictions folder. An interrupted run into it is carried on.
        root, partial: as for `da2k.datasets.benchmarks.open_benchmark`.
        protocol, own_list: for measured depth (`kitti`, …), as for `da2k.evaluation.dense.evaluate_dense`: the
            images are cropped as the protocol has it, and its test-time augmentation is applied.
        batch_size: images given to the model at once; "auto" is 16, or fewer if memory runs out.
        preview: also write each map as a picture, under `previews/` in the folder.
        say: told when the batch size changes.
        progress: called with (images done, images in all).

    Raises:
        Da2kError: there are no images, or the folder holds another model's maps.
    """
    folder = Path(out)
    done_to: dict[str, str] = {}
    sources: Mapping[str, Callable[[], Photo]]
    if str(images) in BENCHMARKS:
        sources, model, done_to = _frames(model, str(images), protocol, root, own_list, partial)
    elif protocol is not None or own_list is not None:
        raise BadInput(f'a protocol or a list is for measured depth ({", ".join(BENCHMARKS)}), not for "{images}"')
    else:
        sources = {n: bound(Photo.open, file, n) for n, file in _photographs(images, root, partial).items()}
    names = _map_names(sources)
    declaration = _declare(model, done_to)
    _claim(folder, declaration)
    written = resumed = 0
    failures: list[Failure] = []
    with Journal(folder / ".predict.progress", str(declaration.work)) as journal:
        done = {name: journal.digest(name) if (folder / names[name]).is_file() else None for name in sources}
        for answer in run_model(model, sources, lambda name: sources[name](), done, batch_size, say):
            if answer.error:
                (folder / names[answer.name]).unlink(missing_ok=True)  # a map of what the photograph was before
                failures.append(Failure(image=answer.name, reason=reason(answer.error)))
            elif answer.depth is None:
                resumed += 1
            elif answer.depth.kind != declaration.kind:
                raise BadInput(f"{answer.name}: the map is {answer.depth.kind}, but {declaration.kind} was declared")
            else:
                write_atomically(folder / names[answer.name], _npy(answer.depth))
                if preview:
                    picture = (folder / PREVIEWS / names[answer.name]).with_suffix(".png")
                    write_preview(answer.depth, answer.size, f"{declaration.model}: {answer.name}", picture)
                journal.add(answer.name, answer.digest, answer.depth.kind, np.empty(0))
                written += 1
            if progress and not answer.resumed:
                progress(written + resumed + len(failures), len(sources))
        if not failures:
            journal.finish()
    return Predicted(folder, written, resumed, tuple(failures))


def _frames(
    model: Model, dataset: str, protocol: str | None, root: Path | None, own_list: Path | None, partial: bool
) -> tuple[Mapping[str, Callable[[], Photo]], Model, dict[str, str]]:
    """The images as a protocol shows them to the model, the model with its augmentation, and what is declared of it."""
    if protocol is None:
        raise BadInput(f"{dataset}: name the protocol that the maps are for; it says how the images are cropped")
    rules = dense_protocol(protocol)
    choices = rules.rules(dataset)
    frames = open_frames(dataset, choices, root, own_list=own_list, partial=partial)
    sources = {frame.name: bound(open_input, frame, choices) for frame in frames.frames}
    return sources, prepare_model(model, rules, choices), {"tta": rules.tta, "input_crop": choices.input_crop}


def _photographs(images: str | Path, root: Path | None, partial: bool) -> dict[str, Path]:
    """The images by the names that their maps mirror."""
    place = Path(images)
    if place.is_file():
        Photo.open(place)
        return {place.name: place}
    if str(images) in load_manifest() or (place / ANNOTATIONS).is_file() or not place.is_dir():
        benchmark = open_benchmark(images, root=root, partial=partial)
        return {image: locate(benchmark.root, image) for image in benchmark.images}
    found = sorted(path for path in _files_below(place) if path.suffix.lower() in _ENDINGS)
    if not found:
        raise BadInput(f"{place}: holds no photograph ({', '.join(_ENDINGS)})")
    return {path.relative_to(place).as_posix(): path for path in found}


def _files_below(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise BadInput(f"{error.filename}: {error.strerror}") from None

    for place, _, names in os.walk(folder, onerror=refuse):
        yield from (Path(place) / name for name in names)


def _map_names(images: Iterable[str]) -> dict[str, str]:
    """`x.npy` for `x.jpg`, but `x.jpg.npy` where another image differs from it only in the ending."""
    stems = {image: str(PurePosixPath(image).with_suffix("")) for image in images}
    counts = Counter(stems.values())
    # `a.jpg.png` may not take `a.jpg.npy`, where the map of `a.jpg` would be looked for first.
    counts.update(set(stems) & set(stems.values()))
    return {image: f"{stem}.npy" if counts[stem] == 1 else f"{image}.npy" for image, stem in stems.items()}


def _declare(model: Model, done_to: Mapping[str, str]) -> Declaration:
    record = model.record
    if record.kind is None:
        raise BadInput(f"{record.spec}: the kind of its maps is not known; give --model-option kind=…")
    return Declaration(
        model=record.name,
        kind=record.kind,
        aspect=record.aspect,
        preprocessing=record.preprocessing,
        revision=record.revision,
        weights_digest=record.weights_digest,
        parameters=record.parameters,
        work=fingerprint(model, *done_to.values()),
    ).model_copy(update=done_to)


def _claim(folder: Path, declaration: Declaration) -> None:
    """Write the declaration, unless the folder holds something else already."""
    if (folder / DECLARATION).exists():
        held = read_declaration(folder)
        other = [field for field in Declaration.model_fields if getattr(held, field) != getattr(declaration, field)]
        if other:
            what = f"{other[0]}: {getattr(held, other[0])}, not {getattr(declaration, other[0])}"
            if other == ["work"]:
                what = "made with other options, device or versions"
            raise BadInput(f"{folder}: holds other maps than these ({what}); choose another --out")
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise BadInput(f"{folder}: is not empty and has no predictions.yaml; choose another --out")
    write_declaration(folder, declaration)


def _npy(depth: DepthMap) -> Callable[[BinaryIO], None]:
    values = np.ascontiguousarray(depth.values)
    return lambda f: np.save(f, values, allow_pickle=False)
