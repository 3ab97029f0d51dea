"""The weights of segment-anything: where they lie, and the network made of them; pickled code is never run."""

import warnings
import zipfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from da2k.construction.settings import SamSettings
from da2k.datasets.manifest import dataset_folder, find_dataset
from da2k.errors import BadInput, BadModel, MissingExtra
from da2k.files import user_path
from da2k.models.checkpoints import one_line
from da2k.models.devices import choose_device

_PATCHES = "image_encoder.patch_embed.proj.weight"
_WIDTHS = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}
"""The size of the network, by the width of its image encoder (`segment_anything.build_sam`)."""


def weights_file(settings: SamSettings) -> tuple[Path, str | None]:
    """Where the weights lie, and the SHA-256 that they must have; None where any will do."""
    if settings.checkpoint is not None:
        return user_path(settings.checkpoint), None
    dataset = find_dataset(_dataset(settings))
    (file,) = dataset.files
    return dataset_folder(dataset.id) / file.name, file.sha256


def require_weights(settings: SamSettings, digest_of: Callable[[Path], str]) -> str:
    """Check that the weights are here, and are the published ones where the settings name no others.

    Args:
        settings: say which weights.
        digest_of: gives the SHA-256 of a file.

    Returns:
        The SHA-256 of the weights.

    Raises:
        BadInput: the file is not here.
        BadModel: it is another file than its authors published.
    """
    file, published = weights_file(settings)
    if not file.is_file():
        raise BadInput(
            f"{file}: the weights of SAM are not here; run: da2k data fetch {_dataset(settings)}, or set "
            "keypoints.sam.checkpoint in da2k.yaml, or keypoints.method: grid"
        )
    sha256 = digest_of(file)
    if published not in (None, sha256):
        raise BadModel(
            f"{file}: its SHA-256 is {sha256}, not the published {published}; run: da2k data fetch "
            f"{_dataset(settings)} --replace"
        )
    return sha256


def load_sam(model: str, file: Path, device: str = "auto") -> Any:
    """The `segment_anything.modeling.Sam` of this size with the weights of this file, all of them.

    Args:
        model: "vit_h", "vit_l" or "vit_b".
        file: a state dict saved by torch; pickled code in it is never run.
        device: "auto", "cpu", "cuda" or "cuda:n".

    Raises:
        BadModel: the file is no state dict of a SAM of this size, or the device is not there.
        MissingExtra: segment-anything, torch or torchvision is not installed.
    """
    require_package()
    from segment_anything import sam_model_registry

    place = choose_device(device)
    weights = _state_dict(file)
    network = sam_model_registry[model]()
    _require_all(weights, network.state_dict(), file, model)
    network.load_state_dict(weights)
    return network.to(place).eval()


def require_package() -> None:
    """Check that segment-anything can be imported; it needs a torchvision that fits torch.

    Raises:
        MissingExtra: a package is not installed.
        BadModel: one is, and cannot be imported.
    """
    for package in ("torch", "torchvision", "segment_anything"):
        if find_spec(package) is None:
            raise MissingExtra(package.replace("_", "-"), "models")
    try:
        import segment_anything  # noqa: F401
    except Exception as e:  # a torchvision made for another torch fails in many ways
        raise BadModel(
            f"segment-anything cannot be imported ({one_line(e)}); it needs the torchvision that was built for the "
            "installed torch: see https://pytorch.org/get-started for the pair, or set keypoints.method: grid"
        ) from None


def _dataset(settings: SamSettings) -> str:
    return f"sam-{settings.model.replace('_', '-')}"


def _state_dict(file: Path) -> Mapping[str, Any]:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on pickles it is about to refuse, torch muses about their protocol
            mapped = zipfile.is_zipfile(file)
            content = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except UnpicklingError:
        raise BadModel(f"{file}: holds more than weights, and pickled code is never run") from None
    except Exception as e:  # torch raises many types on files that are no checkpoints
        raise BadModel(f"{file}: cannot be read as a checkpoint ({one_line(e)})") from None
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise BadModel(f"{file}: holds no state dict (names and tensors)")
    return content


def _require_all(weights: Mapping[str, Any], wanted: Mapping[str, Any], file: Path, model: str) -> None:
    """Check that each weight of the network is there in its shape, and nothing else."""
    problems = {
        "missing": sorted(wanted.keys() - weights.keys()),
        "unknown": sorted(map(str, weights.keys() - wanted.keys())),
        "of another shape": sorted(n for n in wanted.keys() & weights.keys() if weights[n].shape != wanted[n].shape),
    }
    found = "; ".join(f"{len(names)} {what}, such as {names[0]}" for what, names in problems.items() if names)
    if not found:
        return
    patches = weights.get(_PATCHES)
    actual = _WIDTHS.get(patches.shape[0]) if patches is not None and patches.ndim else None
    hint = f" (they seem to be of {actual}: set keypoints.sam.model)" if actual not in (None, model) else ""
    raise BadModel(f"{file}: not the weights of SAM {model}{hint}: {found}")
