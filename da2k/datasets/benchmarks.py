"""From what the user names, a benchmark or a folder, to labels whose counts and points have been checked."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from da2k.datasets.da2k import ANNOTATIONS, Benchmark, read_benchmark
from da2k.datasets.manifest import Dataset, dataset_folder, load_manifest
from da2k.errors import BadInput, did_you_mean
from da2k.images import Photo


def open_benchmark(where: str | Path, *, root: Path | None = None, partial: bool = False) -> Benchmark:
    """Open a benchmark by the name the data manifest gives it, or by its folder.

    A benchmark the manifest knows, by its name or by the folder's name, must be complete: its images, pairs
    and scenarios are counted.

    Args:
        where: a name such as `da2k`, or a folder in the official layout.
        root: where the named benchmark lies; default: where `da2k data fetch` puts it.
        partial: accept an incomplete copy of a known benchmark; the result then says so.

    Raises:
        BadInput: there is no such benchmark, its labels are broken, or it is incomplete.
    """
    known = load_manifest()
    folder = Path(where)
    dataset = known.get(str(where))
    if dataset is not None:
        folder = root or dataset_folder(dataset.id)
        if not folder.is_dir():
            fetch = f"run: da2k data fetch {dataset.id}" if root is None else "check --root"
            raise BadInput(f'benchmark "{dataset.id}" is not at {folder}; {fetch}')
    elif root is not None:
        raise BadInput(f'--root goes with a named benchmark, and "{where}" is none; {did_you_mean(str(where), known)}')
    elif not folder.is_dir():
        raise BadInput(f'no folder and no benchmark is called "{where}"; {did_you_mean(str(where), known)}')
    benchmark = read_benchmark(folder)
    dataset = dataset or _by_folder_name(benchmark.root, known.values())
    return benchmark if dataset is None else _complete(benchmark, dataset, partial)


def open_photos(benchmark: Benchmark) -> dict[str, Photo | BadInput]:
    """Open every image's header and check that the points lie inside.

    Returns:
        For each image its photo, or the error that opening it gave: one bad image does not stop a run.

    Raises:
        BadInput: a point is outside its image; the labels are wrong.
    """
    photos: dict[str, Photo | BadInput] = {}
    for image, pairs in benchmark.by_image.items():
        try:
            photo = benchmark.photo(image)
        except BadInput as e:
            photos[image] = e
            continue
        photos[image] = photo
        height, width = photo.size
        for index, pair in enumerate(pairs):
            for name, point in (("point1", pair.point1), ("point2", pair.point2)):
                if point.row >= height or point.col >= width:
                    raise BadInput(
                        f'{benchmark.root / ANNOTATIONS}: "{image}"[{index}].{name}: (row {point.row}, col {point.col})'
                        f" is outside the image, which has {height} rows and {width} columns"
                    )
    return photos


def _by_folder_name(root: Path, datasets: object) -> Dataset | None:
    names = {part.casefold() for part in (root.resolve().name,)}
    for dataset in datasets:  # type: ignore[attr-defined]
        if names & {name.casefold() for name in dataset.folder_names}:
            return dataset
    return None


def _complete(benchmark: Benchmark, dataset: Dataset, partial: bool) -> Benchmark:
    """The benchmark under its official name, refused if it is not whole."""
    lacks = _differences(benchmark, dataset)
    if lacks and not partial:
        raise BadInput(
            f"{benchmark.root}: not the whole of {dataset.id}: {'; '.join(lacks)}; "
            f"fetch it again, or score this copy with --partial"
        )
    notes = (*benchmark.notes, *(f"partial copy of {dataset.id}: {lack}" for lack in lacks))
    return replace(benchmark, name=dataset.id, revision=dataset.revision, partial=bool(lacks), notes=notes)


def _differences(benchmark: Benchmark, dataset: Dataset) -> list[str]:
    if dataset.expected is None:
        return []
    counted = [
        ("images", len(benchmark.images), dataset.expected.images),
        ("pairs", len(benchmark.pairs), dataset.expected.pairs),
    ]
    lacks = [f"{n} {what} are annotated, {wanted} expected" for what, n, wanted in counted if n != wanted]
    counts = Counter(pair.scenario for pair in benchmark.pairs)
    for scenario, pairs in (dataset.expected.scenarios or {}).items():
        if counts[scenario] != pairs:
            lacks.append(f"{scenario} has {counts[scenario]} pairs, {pairs} expected")
    absent = benchmark.absent_images()
    if absent:
        lacks.append(f"{len(absent)} image files are absent, the first {absent[0]}")
    return lacks
