"""The files on this machine that decide what a model says, found without loading it or any heavy package."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.machinery import PathFinder
from pathlib import Path

from da2k.errors import BadInput, BadModel
from da2k.files import user_path
from da2k.models.registry import Source

Files = Iterator[tuple[str, Path]]


def local_files(source: Source) -> list[tuple[str, Path]]:
    """The files that a model is made from: its weights, its declaration, its maps, its code.

    For Python code these are the module, the files that its options name, and the folder that its option `path` names.
    What the module imports is not among them; neither is anything of a hub id.

    Returns:
        Each file with a label that says what it is and does not depend on the folder it lies in.

    Raises:
        BadModel: a file or folder that the source names is not there.
        BadInput: a folder of predictions is not there, or something cannot be looked at.
    """
    find = _FILES.get(source.adapter)
    try:
        return [] if find is None else list(find(source))
    except OSError as e:
        raise BadInput(f"{e.filename}: {e.strerror}; {source} needs it") from None


def _of_checkpoint(source: Source) -> Files:
    from da2k.models.depth_anything_pth import is_original
    from da2k.models.hub import HUB_ID

    for label, place in (("target", source.target), ("base", source.options.get("base"))):
        if place is None:
            continue
        path = user_path(place)
        if place and path.is_dir():
            yield from _below(path, label)
        elif source.adapter == "hf" and is_original(place):
            if not path.is_file():
                raise BadModel(f"{source}: no such file; give the path of the checkpoint")
            yield label, path
        elif not HUB_ID.fullmatch(place):
            raise BadModel(f'{source}: there is no folder "{place}", and a hub id is OWNER/NAME')


def _of_network(source: Source) -> Files:
    from da2k.models.network_options import declaration_places, network_file
    from da2k.models.onnx import external_files

    file = network_file(source.target, str(source))
    beside = external_files(file) if source.adapter == "onnx" else []
    declared = [place for place in declaration_places(file) if place.is_file()]
    yield from ((path.name, path) for path in (file, *beside, *declared))


def _of_maps(source: Source) -> Files:
    from da2k.models.declaration import DECLARATION
    from da2k.models.map_files import ENDINGS

    folder = user_path(source.target)
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder of predictions")
    for label, file in _below(folder, "maps"):
        if file.suffix.lower() in ENDINGS or file == folder / DECLARATION:
            yield label, file


def _of_python(source: Source) -> Files:
    place, _, factory = source.target.rpartition(":")
    if not place or not factory:
        raise BadModel(f"{source}: write python:<module>:<factory> or python:<file.py>:<factory>")
    if file := _module_file(place, source):
        yield "module", file
    for option, value in sorted(source.options.items()):
        try:
            path = user_path(value)
            is_file, is_folder = path.is_file(), path.is_dir()
        except (OSError, BadInput):  # a text that cannot be a path
            continue
        if is_file:
            yield option, path
        elif is_folder and option == "path":  # another folder may be where the model writes, or a whole data set
            yield from _below(path, option)


def _module_file(place: str, source: Source) -> Path | None:
    """The file of a module, found without running any code; None for a module that has none."""
    if place.endswith(".py"):
        if not Path(place).is_file():
            raise BadModel(f"{source}: no file {place}")
        return Path(place)
    if place in sys.modules:
        origin = getattr(sys.modules[place], "__file__", None)
        return Path(origin) if origin else None
    folders = [str(Path.cwd()), *sys.path]
    origin = None
    for part in place.split("."):
        found = PathFinder.find_spec(part, folders)
        if found is None:
            raise BadModel(f"{source}: there is no module {place}, neither in this folder nor installed")
        folders, origin = list(found.submodule_search_locations or ()), found.origin
    return Path(origin) if origin else None


def _below(folder: Path, label: str) -> Files:
    """The files of a folder, sorted; hidden ones, such as those of downloaders, left out."""

    def refuse(error: OSError) -> None:
        raise error

    found = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith((".", "__pycache__"))]
        found += [Path(place) / name for name in names if not name.startswith(".")]
    return iter(sorted((f"{label}/{file.relative_to(folder).as_posix()}", file) for file in found))


_FILES: Mapping[str, Callable[[Source], Files]] = {
    "hf": _of_checkpoint,
    "marigold": _of_checkpoint,
    "geowizard": _of_checkpoint,
    "onnx": _of_network,
    "tflite": _of_network,
    "predictions": _of_maps,
    "python": _of_python,
}
"""Adapter → how its files are found; one that has none is not here."""
