"""Folders in the layout of diffusers' pipelines, one subfolder a part: on disk, in the hub's cache, or fetched."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from da2k.errors import BadModel, MissingExtra, Unreachable
from da2k.files import user_path
from da2k.models import checkpoints, hub

_WEIGHTS = re.compile(r"(diffusion_pytorch_)?model(-\d+-of-\d+)?\.safetensors")
_FETCHED = (
    "*.json",
    "*.txt",
    *(f"{name}{part}.safetensors" for name in ("diffusion_pytorch_model", "model") for part in ("", "-*-of-*")),
)
NETWORKS = re.compile(r"(unet|vae|(image|text)_encoder)(_v\d+)?")
"""The names of parts that hold weights."""


def part_folders(target: str, revision: str | None, base: str | None, parts: Sequence[str], where: str) -> list[Path]:
    """The folder of each part; fetched if it has to be.

    Args:
        target: the checkpoint, a folder or a hub id.
        revision: branch, tag or commit of the checkpoint's hub id.
        base: another folder or hub id, whose parts go before the checkpoint's own, except for the first part.
        parts: names of subfolders, the one that only the checkpoint has first.
        where: names the model in errors.

    Raises:
        BadModel: a part is nowhere; and as for `parts_folder`.
    """
    places: dict[str, Path] = {}
    if base is not None:
        other = parts_folder(base, None, parts[1:], f"{where}: option base")
        places = {part: other for part in parts[1:] if (other / part).is_dir()}
    own = parts_folder(target, revision, [part for part in parts if part not in places], where)
    folders = [places.get(part, own) / part for part in parts]
    lacking = [folder.name for folder in folders if not folder.is_dir()]
    if lacking:
        shared = (
            "" if parts[0] in lacking else "; give --model-option base=, a folder or hub id that has the shared parts"
        )
        raise BadModel(f"{where}: there is no {' and no '.join(lacking)} in {own}{shared}")
    return folders


def parts_folder(target: str, revision: str | None, parts: Sequence[str], where: str) -> Path:
    """The folder that holds a pipeline's parts, fetched if it has to be; only these parts are.

    Args:
        target: a folder, or a hub id, OWNER/NAME. A folder is given back as it is.
        revision: branch, tag or commit of a hub id.
        parts: the subfolders that are wanted.
        where: names the model in errors.

    Raises:
        BadModel: there is no such folder or repository.
        Unreachable: it is not in the cache and the hub cannot be reached; said after one short attempt.
        MissingExtra: huggingface_hub is not installed.
    """
    folder = user_path(target)
    if target and folder.is_dir():
        if revision is not None:
            raise BadModel(f"{where}: option revision: belongs to hub ids, and {target} is a folder")
        return folder
    if not hub.HUB_ID.fullmatch(target):
        raise BadModel(f'{where}: there is no folder "{target}", and a hub id is OWNER/NAME')
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        raise MissingExtra("huggingface_hub", "hub") from None
    wanted = ["model_index.json"] + [f"{part}/{pattern}" for part in parts for pattern in _FETCHED]
    download = partial(snapshot_download, target, revision=revision, allow_patterns=wanted)
    for cache in hub.caches():
        try:
            found = Path(download(cache_dir=cache, local_files_only=True))
        except LocalEntryNotFoundError:
            continue
        if all(_whole(found / part) for part in parts):
            return found
    lack = f"{where}: {target} is no folder, not whole in the cache {hub.caches()[0]}"
    hub.require_hub(lack, f"{where.partition(':')[0]}:FOLDER")
    try:
        return Path(download(cache_dir=hub.caches()[0]))
    except HfHubHTTPError as e:  # no such repository or revision, or terms that have to be accepted first
        raise BadModel(f"{where}: the hub does not give {target} ({checkpoints.one_line(e)})") from None
    except Exception as e:  # the hub's client raises its http library's errors, and the system's
        what = f"the download broke off ({checkpoints.one_line(e)}); the same command carries on"
        raise Unreachable(f"{where}: {what}") from None


def _whole(part: Path) -> bool:
    return part.is_dir() and (not NETWORKS.fullmatch(part.name) or bool(weight_files(part)))


def weight_files(part: Path) -> list[Path]:
    """The safetensors files of one part, in the order of their names; other variants and pickles are not among them."""
    return sorted(file for file in part.glob("*.safetensors") if _WEIGHTS.fullmatch(file.name))


def load_network(kind: Any, part: Path, where: str) -> Any:
    """A network of diffusers or transformers with its weights, neither fewer nor more than it has.

    Args:
        kind: its class.
        part: its folder.
        where: names the model in errors.

    Raises:
        BadModel: there are no safetensors weights, or they do not fit the configuration.
    """
    import torch

    if not weight_files(part):
        what = "holds no weights as safetensors; pickled ones and variants (fp16) are not loaded"
        raise BadModel(f"{where}: {part.name} {what}")
    try:
        network, report = kind.from_pretrained(
            part, dtype=torch.float32, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    except Exception as e:  # both libraries raise many types on broken weights and configurations
        raise BadModel(f"{where}: {part.name} cannot be loaded ({checkpoints.one_line(e)})") from None
    for key, what in (("missing_keys", "are missing"), ("unexpected_keys", "fit nowhere")):
        if names := sorted(report[key]):
            some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
            raise BadModel(f"{where}: {part.name}: {len(names)} weights {what} ({some}); it is another network's file")
    return network.eval()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep diffusers' and transformers' own reports off the terminal: what matters is raised here.

    Raises:
        MissingExtra: diffusers is not installed.
    """
    try:
        from diffusers.utils import logging
    except ImportError:
        raise MissingExtra("diffusers", "models") from None
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with checkpoints.quiet():
            yield
    finally:
        logging.set_verbosity(level)
