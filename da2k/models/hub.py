"""Checkpoint folders in the layout of the Hugging Face hub: found on disk, in the hub's cache, or fetched.

A hub id is looked up in the local cache first and fetched only when it is not whole there. Downloads go to
`DA2K_HOME/hub` if `DA2K_HOME` is set, and then the hub's own cache is still read; else to the hub's own cache
(`HF_HOME`, `HF_HUB_CACHE`). `HF_HUB_OFFLINE` and `HF_ENDPOINT` are respected.
"""

import os
import re
import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from da2k.errors import BadModel, MissingExtra, Unreachable
from da2k.files import home, user_path
from da2k.models.checkpoints import one_line, weight_files

PROBE_SECONDS = 4.0
"""How long one connection to the hub may take before it counts as out of reach."""

_PROCESSOR = ("preprocessor_config.json", "processor_config.json")
_SAFETENSORS = ("model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors")
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*-of-*.bin")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def local_folder(target: str, revision: str | None = None) -> Path:
    """The folder of a checkpoint, fetched if it has to be.

    Args:
        target: a folder, or a hub id, OWNER/NAME.
        revision: branch, tag or commit of a hub id; None is its main branch.

    Raises:
        BadModel: there is no such folder or repository, or it holds no checkpoint.
        Unreachable: the checkpoint is not here and the hub cannot be reached; said after one short attempt.
        MissingExtra: huggingface_hub is not installed.
    """
    folder = user_path(target)
    if target and folder.is_dir():
        if revision is not None:
            raise BadModel(f"hf:{target}: option revision: belongs to hub ids, and this is a folder")
        if not (folder / "config.json").is_file():
            raise BadModel(f"hf:{target}: the folder has no config.json, so it holds no checkpoint for transformers")
        return folder
    if not HUB_ID.fullmatch(target):
        raise BadModel(f'hf:{target}: there is no folder "{target}", and a hub id is OWNER/NAME')
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        raise MissingExtra("huggingface_hub", "hub") from None
    for cache in caches():
        config = try_to_load_from_cache(target, "config.json", cache_dir=cache, revision=revision)
        if isinstance(config, str) and _whole(Path(config).parent):
            return Path(config).parent
    require_hub(f"hf:{target}: no folder of this name, not in the cache {caches()[0]}", "hf:FOLDER")
    return _fetch(target, revision, caches()[0])


def caches() -> list[Path]:
    """Where downloads go, and after that the other places where they are looked for."""
    from huggingface_hub import constants

    own = [home() / "hub"] if os.environ.get("DA2K_HOME") else []
    return [*own, Path(constants.HF_HUB_CACHE)]


def require_hub(lack: str, instead: str) -> None:
    """Check that the hub can be asked.

    Args:
        lack: what is not here, which begins the message.
        instead: the model string that names a folder.

    Raises:
        Unreachable: it cannot; said after one short attempt.
    """
    from huggingface_hub import constants

    why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else _obstacle(constants.ENDPOINT)
    if why:
        raise Unreachable(
            f"{lack}, and {constants.ENDPOINT} cannot be asked ({why}); fetch it on another machine and give its "
            f"folder: {instead}, or for a model of the zoo --model-option path=FOLDER"
        )


def _obstacle(endpoint: str) -> str | None:
    """Why nothing answers there, or None. One attempt, through the proxy that the environment names."""
    try:
        with urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=PROBE_SECONDS):
            return None
    except urllib.error.HTTPError:
        return None
    except (OSError, ValueError, HTTPException) as e:
        reason = getattr(e, "reason", e)
        # The hub's own client may know certificates that the standard library does not.
        return None if isinstance(reason, ssl.SSLError) else str(reason)


def _fetch(target: str, revision: str | None, cache: Path) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        for weights in (_SAFETENSORS, _PICKLED):
            patterns = ["config.json", *_PROCESSOR, *weights]
            folder = Path(snapshot_download(target, revision=revision, cache_dir=cache, allow_patterns=patterns))
            if weight_files(folder):
                return folder
    except GatedRepoError:
        what = "its authors ask you to accept their terms on its hub page; do, then log in with: hf auth login"
        raise BadModel(f"hf:{target}: {what}") from None
    except RepositoryNotFoundError:
        what = "neither a folder here nor a repository that the hub shows you; if it is private, run: hf auth login"
        raise BadModel(f"hf:{target}: {what}") from None
    except RevisionNotFoundError:
        raise BadModel(f'hf:{target}: option revision: the hub has no "{revision}" of it') from None
    except BadModel:
        raise
    except Exception as e:  # the hub's client raises its own, its http library's, and the system's errors
        what = f"the download broke off ({one_line(e)}); the same command carries on"
        raise Unreachable(f"hf:{target}: {what}") from None
    raise BadModel(f"hf:{target}: the repository holds no model.safetensors and no pytorch_model.bin")


def _whole(folder: Path) -> bool:
    files = weight_files(folder)
    return bool(files) and all(f.is_file() for f in files) and any((folder / name).is_file() for name in _PROCESSOR)
