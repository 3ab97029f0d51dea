"""Checkpoint folders of transformers: their weight files, their configuration, their network."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from da2k.errors import BadModel, MissingExtra
from da2k.files import sha256_file

FAMILIES = (
    "chmv2",
    "depth_anything",
    "depth_pro",
    "dpt",
    "glpn",
    "prompt_depth_anything",
    "tipsv2_dpt",
    "zoedepth",
)
"""The model types that this adapter runs."""

_NEVER_USED = r"(\.|^)mask_token$|fusion_stage\.(layers|intermediate)\.0\.residual_layer1\."
"""Weights that may be missing, or there for nothing, since inference never reads them: the token of masked training,
and the first fusion layer's side input, which has no side input. The hub's dpt-large comes without them."""
_NOT_LEARNT = r"(^|\.)(position_ids|relative_position_index|num_batches_tracked)$"
"""Counters and indices that older releases of transformers wrote into checkpoints, and that networks now make."""


def weight_files(folder: Path) -> list[Path]:
    """The weight files that transformers loads from a folder, safetensors before pickles; empty if there are none.

    Raises:
        BadModel: an index of shards is broken or names files outside the folder.
    """
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            listed = read_json(index).get("weight_map")
            shards = sorted({str(shard) for shard in listed.values()}) if isinstance(listed, dict) else []
            if not shards or any(Path(shard).name != shard for shard in shards):
                raise BadModel(f"{index}: weight_map: has to name weight files of the same folder")
            return [folder / shard for shard in shards]
    return []


def weights_digest(files: Sequence[Path]) -> str:
    """SHA-256 of the weights: of the one file, or of the shards' "name sha256" lines in the order of their names.

    Raises:
        BadInput: a file cannot be read.
    """
    if len(files) == 1:
        return sha256_file(files[0])
    lines = sorted(f"{file.name} {sha256_file(file)}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def commit(folder: Path) -> str | None:
    """The hub commit of a folder in the hub's cache, else None."""
    known = folder.parent.name == "snapshots" and re.fullmatch("[0-9a-f]{40}", folder.name)
    return folder.name if known else None


def read_config(folder: Path, where: str) -> Any:
    """The checkpoint's configuration, of a family that this adapter runs."""
    try:
        from transformers import AutoConfig
    except ImportError as e:
        if find_spec("transformers") is None:
            raise MissingExtra("transformers", "models") from None
        raise BadModel(f"transformers cannot be imported ({one_line(e)})") from None
    described = read_json(folder / "config.json")
    if described.get("model_type") not in FAMILIES:
        family = described.get("model_type")
        raise BadModel(f"{where}: config.json: model_type {family!r} is not a depth family of {', '.join(FAMILIES)}")
    if "transformers_weights" in described:
        raise BadModel(f"{where}: config.json: transformers_weights: only weights under their usual names are loaded")
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as e:  # transformers raises many types on a broken configuration
        raise BadModel(f"{where}: config.json: {one_line(e)}") from None


def load_network(folder: Path, config: Any, where: str) -> Any:
    """The network with its weights, all of them, in float32. Pickled weights go through torch's restricted loader."""
    import torch
    from transformers import AutoModelForDepthEstimation

    if not weight_files(folder):
        raise BadModel(f"{where}: the folder has config.json but neither model.safetensors nor pytorch_model.bin")
    try:
        network, report = AutoModelForDepthEstimation.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            weights_only=True,
            trust_remote_code=False,
            local_files_only=True,
        )
    except UnpicklingError:
        what = "its pickled weight file holds more than weights, and pickled code is never run; ask for safetensors"
        raise BadModel(f"{where}: {what}") from None
    except Exception as e:  # transformers, safetensors and torch raise many types on broken weights
        raise BadModel(f"{where}: its weights cannot be loaded ({one_line(e)})") from None
    require_its_weights(report, where)
    return network


def require_its_weights(report: Mapping[str, Any], where: str) -> None:
    """Check what transformers reports of a loading: that the weights are the network's, no fewer and no more.

    A weight that it did not find, it has made up at random. One that fits nowhere, it has dropped: such a network may
    be another than the one that was trained, with fewer blocks, say.

    Raises:
        BadModel: weights are missing, have another shape than the network, or fit nowhere in it.
    """
    lacking = sorted(name for name in report["missing_keys"] if not re.search(_NEVER_USED, name))
    misfits = sorted(str(name) for name, *_ in report["mismatched_keys"])
    foreign = sorted(n for n in report["unexpected_keys"] if not re.search(f"{_NEVER_USED}|{_NOT_LEARNT}", n))
    random, other = "the network would guess at random", "they are another network's than the configuration's"
    for names, what, so in (
        (lacking, "are missing", random),
        (misfits, "have another shape than the configuration says", random),
        (foreign, "fit nowhere", other),
    ):
        if names:
            some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
            raise BadModel(f"{where}: {len(names)} weights {what} ({some}); {so}")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' own reports and progress bars off the terminal: what matters is raised here."""
    try:
        from transformers.utils import logging
    except ImportError:
        yield
        return
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        BadModel: the file cannot be read or holds no JSON object.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as e:
        raise BadModel(f"{path}: cannot be read as JSON ({e})") from None
    if not isinstance(content, dict):
        raise BadModel(f"{path}: holds no JSON object")
    return content


def one_line(error: Exception) -> str:
    """What an error says, on one line of readable length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:299]}…"
