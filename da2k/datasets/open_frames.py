"""From a dataset's name and a protocol's choices to frames whose list, count and layout have been checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from da2k.datasets import diode, eth3d, kitti, nyu, nyu_mat, sintel
from da2k.datasets.frame_formats import Fields, Format, OtherData, look_into
from da2k.datasets.frame_lists import NOT_MEASURED, find_list, other_dataset, read_rows
from da2k.datasets.frames import Frame, FrameSet
from da2k.datasets.manifest import Dataset, dataset_folder, find_dataset
from da2k.errors import BadInput
from da2k.files import sha256_file
from da2k.protocols.dense import DatasetRules, Reader

FORMATS: Mapping[Reader, Format] = {
    "kitti-annotated": kitti.ANNOTATED,
    "nyu-bts": nyu.BTS,
    "nyu-mat": nyu_mat.LABELLED,
    "sintel-clean": sintel.CLEAN,
    "sintel-final": sintel.FINAL,
    "eth3d": eth3d.DISTORTED,
    "diode": diode.VALIDATION,
}
"""How the files of each reader are laid out and decoded."""

_PARTS = {"diode-indoor": "indoors/", "diode-outdoor": "outdoor/"}
"""What the rows of a part of a dataset begin with."""

_LOOKED_AT = 5

ItemT = TypeVar("ItemT")


def open_frames(
    dataset: str,
    rules: DatasetRules,
    root: Path | None = None,
    *,
    own_list: Path | None = None,
    partial: bool = False,
    manifest: Path | None = None,
) -> FrameSet:
    """The frames that a protocol scores on a dataset. Their files are looked for, and a few are looked into.

    Args:
        dataset: such as `kitti` or `diode-indoor`.
        rules: the protocol's choices for it.
        root: the folder of its files, or the .mat file of NYU; default: where `da2k data fetch` puts it.
        own_list: a list of the user's, in the format of the protocol's, of any number of frames.
        partial: leave out frames whose files are absent, and say so.
        manifest: another data manifest than the one that comes with da2k.

    Raises:
        BadInput: the list is missing, damaged, or not the one that the manifest pins; it has another number of frames
            than the protocol demands; files are absent; or they are another kind of data.
        MissingExtra: the files need a package that is not installed.
    """
    entry = find_dataset(dataset.partition("-")[0], manifest)
    form = FORMATS[rules.reader]
    given = root is not None and root != dataset_folder(entry.id)
    root = _root(entry.id, root, form)
    folder = root.parent if root.is_file() else root
    path = own_list or find_list(rules.list, entry, [folder, dataset_folder(entry.id)])
    rows = [row for row in read_rows(path, form, entry.id) if row[0].startswith(_PARTS.get(dataset, ""))]
    measured = [row for row in rows if NOT_MEASURED not in row]
    if not measured:
        raise BadInput(f"{path}: has no frames of {dataset} with ground truth{'; check --list' if own_list else ''}")
    if own_list is None and len(measured) != rules.frames:
        raise BadInput(f"{path}: has {len(measured)} frames with ground truth; the protocol demands {rules.frames}")
    found = _find(measured, form, root)
    if not found.frames:
        todo = _remedy(measured[0], entry, form, given, own_list is not None)
        raise BadInput(
            f"{root}: none of the {len(measured)} frames is here: {_nowhere(measured[0], form, root)}; {todo}"
        )
    if found.absent and not partial:
        raise BadInput(
            f"{root}: list and files disagree: {len(found.absent)} of {len(measured)} frames of {path.name} are not "
            f"here, the first {found.missing[0]}; --partial scores the others and says so"
        )
    some, own = _spread(found.frames, _LOOKED_AT), own_list is not None
    notes = [*form.notes, *form.inspect(some, own), *_inspect_sizes(some, entry, own)]
    if own:
        notes.append(f"own list {path.name} of {len(measured)} frames; the protocol's has {rules.frames}")
    if own and len(rows) > len(measured):
        notes.append(f"{len(rows) - len(measured)} of the list's {len(rows)} rows have no ground truth")
    if found.absent:
        notes.append(f"partial copy: {len(found.frames)} of {len(measured)} frames are here")
    return FrameSet(
        dataset=dataset,
        reader=rules.reader,
        root=root,
        frames=found.frames,
        expected=rules.frames,
        absent=found.absent,
        list_digest=sha256_file(path),
        own_list=own_list is not None,
        notes=tuple(notes),
        missing=found.missing,
    )


def spot_check(frames: FrameSet, count: int = _LOOKED_AT) -> list[str]:
    """What is wrong with `count` frames, evenly spread over the set, when image and truth are decoded; a line each."""
    problems = []
    for frame in _spread(frames.frames, count):
        try:
            frame.open_photo().pixels  # noqa: B018 - decoding it is the check
            if not frame.read_truth().valid.any():
                problems.append(f"{frame.files[-1]}: nothing is measured in it")
        except BadInput as e:
            problems.append(str(e))
    return problems


@dataclass(frozen=True, eq=False)
class _Found:
    frames: tuple[Frame, ...]
    absent: tuple[str, ...]
    missing: tuple[str, ...]


def _root(dataset: str, root: Path | None, form: Format) -> Path:
    """The folder of the files, or the one file of them all."""
    if root is None:
        root, todo = dataset_folder(dataset), f"run: da2k data fetch {dataset}, or say where it lies with --root"
    else:
        todo = "check --root"
    if root.is_dir() or (form.packed and root.is_file()):
        return root
    raise BadInput(f"{dataset} is not at {root}{', which is a file' if root.exists() else ''}; {todo}")


def _find(rows: Sequence[Fields], form: Format, root: Path) -> _Found:
    frames, absent, missing = [], [], []
    for row in rows:
        files = (root,) if root.is_file() else tuple(_first(root, places) for places in form.places(row))
        present = tuple(file for file in files if file is not None)
        if len(present) < len(files):
            which = files.index(None)
            lost = form.places(row)[which][0]
            absent.append(row[0])
            missing.append(f"{row[0]} (there is no {lost})" if which else lost)
        else:
            frames.append(form.frame(row, present))
    return _Found(tuple(frames), tuple(absent), tuple(missing))


def _nowhere(row: Fields, form: Format, root: Path) -> str:
    """Where the first missing file of a row was looked for."""
    places = next(places for places in form.places(row) if _first(root, places) is None)
    also = f", nor {', '.join(places[1:3])}{' …' if len(places) > 3 else ''}" if len(places) > 1 else ""
    return f"there is no {places[0]}{also}"


def _remedy(row: Fields, entry: Dataset, form: Format, given: bool, own: bool) -> str:
    """What to do where nothing of a list is found: `given` is the root, and the list is the user's `own`."""
    other = other_dataset(row, entry.id) if own else None
    looks = f"the list's rows look like those of {other}'s; " if other else ""
    todo = [f"run: da2k data fetch {entry.id}"] if form.packed or not given else []
    if given or own:
        todo.append(f"check {' and '.join(['--root'] * given + ['--list'] * own)}")
    return looks + ", or ".join(todo)


def _inspect_sizes(frames: Sequence[Frame], entry: Dataset, own: bool) -> tuple[str, ...]:
    """A note where frames of the user's own list have no size that the dataset's have.

    Raises:
        OtherData: so have frames of the protocol's list.
    """
    sizes = entry.frame_sizes
    if sizes is None:
        return ()
    seen = look_into(frames, lambda frame: (frame, frame.open_photo().size))
    odd = [(frame, size) for frame, size in seen if not sizes.contain(size)]
    if not odd:
        return ()
    frame, (height, width) = odd[0]
    what = f"is {height} x {width}, and the images of {entry.id} are {sizes}"
    if own:
        return (
            f"{frame.name} {what}: if it is another dataset's, its depth is decoded wrongly, and crops fall elsewhere",
        )
    raise OtherData(f"{frame.files[0]}: {what}; get the dataset's own files, neither resized nor cropped")


def _first(root: Path, places: Fields) -> Path | None:
    return next((root / place for place in places if _is_file(root / place)), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that may not be entered, or a name too long to be one
        return False


def _spread(items: Sequence[ItemT], count: int) -> list[ItemT]:
    """At most `count` items, evenly spread, the first and the last among them."""
    wanted = min(count, len(items))
    return [items[i * (len(items) - 1) // max(wanted - 1, 1)] for i in range(wanted)]
