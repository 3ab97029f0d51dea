"""From what the user names, a benchmark or a folder, to labels whose counts and points have been checked."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from da2k.datasets.da2k import ANNOTATIONS, Benchmark, locate, read_benchmark
from da2k.datasets.manifest import Dataset, dataset_folder, known_as, load_manifest
from da2k.errors import BadInput, did_you_mean
from da2k.images import Photo
from da2k.protocols.dense import BENCHMARKS


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
    name, folder = str(where), Path(where)
    if name not in load_manifest() and folder.is_dir():
        if root is not None:
            raise BadInput(f'--root goes with a named benchmark, and "{where}" is a folder; leave it out')
        benchmark = read_benchmark(folder)
        dataset = known_as(benchmark.root.resolve().name)
        return benchmark if dataset is None else _complete(benchmark, dataset, partial)
    dataset = known_as(name)
    if dataset is None or dataset.expected is None:
        raise BadInput(_unknown(name))
    folder = root or dataset_folder(dataset.id)
    if not folder.is_dir():
        todo = "check --root" if root else f"run: da2k data fetch {dataset.id}, or say where it lies with --root"
        raise BadInput(f'benchmark "{dataset.id}" is not at {folder}; {todo}')
    return _complete(read_benchmark(folder), dataset, partial)


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
                    swapped = "; is it (x, y)?" if point.row < width and point.col < height else ""
                    raise BadInput(
                        f'{benchmark.root / ANNOTATIONS}: "{image}"[{index}].{name}: (row {point.row}, col {point.col})'
                        f" is outside the image, which has {height} rows and {width} columns{swapped}"
                    )
    return photos


def miscounts(benchmark: Benchmark, dataset: Dataset) -> list[str]:
    """Where the numbers of annotated images and pairs differ from those of the whole dataset."""
    if dataset.expected is None:
        return []
    return dataset.expected.differences(len(benchmark.images), Counter(pair.scenario for pair in benchmark.pairs))


def absent_images(benchmark: Benchmark) -> list[str]:
    """One line if annotated images have no file."""
    absent = [image for image in benchmark.images if not locate(benchmark.root, image).is_file()]
    return [f"{len(absent)} of {len(benchmark.images)} image files are absent, the first {absent[0]}"] if absent else []


def _unknown(name: str) -> str:
    """Why no benchmark of pairs is called so; measured depth has names too, and they may be what was meant."""
    pairs = [each for each, entry in load_manifest().items() if entry.expected is not None]
    if name in BENCHMARKS:
        return f'"{name}" has measured depth and no pairs of points; with pairs are: {", ".join(pairs)}'
    # Names are of small letters, and the nearest is looked for letter by letter.
    return f'no folder and no benchmark is called "{name}"; {did_you_mean(name.lower(), [*pairs, *BENCHMARKS])}'


def _complete(benchmark: Benchmark, dataset: Dataset, partial: bool) -> Benchmark:
    """The benchmark under its official name, refused if it is not whole."""
    lacks = [*miscounts(benchmark, dataset), *absent_images(benchmark)]
    if lacks and not partial:
        raise BadInput(
            f"{benchmark.root}: not the whole of {dataset.id}: {'; '.join(lacks)}; "
            f"fetch it again, or score this copy with --partial"
        )
    notes = (*benchmark.notes, *(f"partial copy of {dataset.id}: {lack}" for lack in lacks))
    return replace(benchmark, name=dataset.id, revision=dataset.revision, partial=bool(lacks), notes=notes)
