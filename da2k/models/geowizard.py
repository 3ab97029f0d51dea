"""`geowizard:<hub id or folder>`: GeoWizard, depth and normals from one diffusion network (arXiv 2403.12013)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image as PillowImage
from pydantic import Field

from da2k.depth import DepthKind, DepthMap
from da2k.images import Photo
from da2k.models.checkpoints import commit, weights_digest
from da2k.models.devices import Dtype, choose_device, inference, require_dtype, torch_dtype
from da2k.models.options import Options, parse_options
from da2k.models.paired_diffusion import PARTS, Domain, PairedDiffusion, Version, load_parts, merged, processed
from da2k.models.pipeline_parts import part_folders, quiet, weight_files
from da2k.results import ModelRecord

PRESETS = {"paper": (50, 10), "fast": (10, 1)}
"""Name → (denoising steps, runs that are merged). "paper" is what the authors' README asks for when papers are
compared; "fast" takes their usual number of steps, once."""


class GeoWizardOptions(Options):
    """`--model-option` for `geowizard:`.

    Attributes:
        version: "1" or "2"; if not given, 2 for a folder that has `unet_v2` and no `unet`, else 1.
        base: folder or hub id whose parts, but for the UNet, go before the checkpoint's own. The authors' script for
            version 2 takes them all from Stable Diffusion 2.
        revision: branch, tag or commit of the checkpoint's hub id.
        preset: "fast" or "paper", see `PRESETS`; `steps` and `ensemble` go before it.
        steps: denoising steps.
        ensemble: runs from different noise, see `merged`.
        processing_res: longer side that the network sees; smaller photos are enlarged. 0 keeps the photo's size.
        seed: of the noise, which starts anew for every photo and so does not depend on its batch. It is drawn on the
            CPU whatever the device: that of the authors' code, seeded so and run on one photo on a CPU.
        domain: goes before the one that follows from the photo's scenario, see `domain_of`.
        dtype: what the networks compute in. Half precision needs a GPU; it changes the order of close pairs.
    """

    version: Version | None = None
    base: str | None = None
    revision: str | None = None
    preset: Literal["paper", "fast"] = "fast"
    steps: int | None = Field(default=None, gt=0)
    ensemble: int | None = Field(default=None, gt=0)
    processing_res: int = Field(default=768, ge=0)
    seed: int = Field(default=0, ge=0, lt=2**63)
    domain: Domain | None = None
    dtype: Dtype = "float32"


class GeoWizard:
    """GeoWizard as a model. Maps have the photo's size and lie in 0..1: 0 near, 1 far, up to scale and shift."""

    def __init__(self, record: ModelRecord, network: PairedDiffusion, options: GeoWizardOptions) -> None:
        self.record = record
        self.device = str(network.device)
        self.dtype = options.dtype
        self.seed = options.seed
        self.network = network
        self._options = options

    def predict(self, images: Sequence[Photo]) -> list[DepthMap]:
        """One map a photo, in their order; photos of one size and domain run together.

        Raises:
            BadInput: a photo is too small or too narrow for the network.
        """
        groups: dict[tuple[object, Domain], list[int]] = {}
        for i, photo in enumerate(images):
            groups.setdefault((photo.size, self._options.domain or domain_of(photo.scenario)), []).append(i)
        maps: dict[int, DepthMap] = {}
        for (_, domain), batch in groups.items():
            seen = np.stack([processed(images[i].pixels, self._options.processing_res) for i in batch])
            with inference():
                runs = self.network.runs(seen, domain, self.seed)
            for i, found in zip(batch, runs.swapaxes(0, 1), strict=True):
                resized = PillowImage.fromarray(merged(found)).resize(images[i].size[::-1])
                maps[i] = DepthMap(np.asarray(resized).clip(0, 1), DepthKind.AFFINE_DEPTH)
        return [maps[i] for i in range(len(images))]


def domain_of(scenario: str | None) -> Domain:
    """The domain of a photo: the scenarios indoor and object are domains themselves, everything else is outdoor."""
    return "indoor" if scenario == "indoor" else "object" if scenario == "object" else "outdoor"


def load(target: str, options: Mapping[str, str], device: str) -> GeoWizard:
    """Load a checkpoint.

    Args:
        target: a folder in the layout of lemonaddie/geowizard, or a hub id, OWNER/NAME.
        options: see `GeoWizardOptions`.
        device: see `choose_device`.

    Raises:
        BadModel: a part is missing or not GeoWizard's, or weights are missing, too many, or pickled.
        Unreachable: a hub id is not in the cache and the hub cannot be reached.
        MissingExtra: torch, diffusers or transformers is not installed.
    """
    where = f"geowizard:{target}"
    given = parse_options(GeoWizardOptions, options, where)
    place = choose_device(device)
    require_dtype(given.dtype, place, where)
    own = Path(target).expanduser()
    version = given.version or ("2" if (own / "unet_v2").is_dir() and not (own / "unet").is_dir() else "1")
    settings = dict(zip(("steps", "ensemble"), PRESETS[given.preset], strict=True))
    settings |= {name: value for name in settings if (value := getattr(given, name))}
    with quiet():
        unet, *shared = part_folders(target, given.revision, given.base, PARTS[version], where)
        network = load_parts(version, unet, {part.name: part for part in shared}, **settings, where=where)
        for learnt in network.learnt:
            learnt.to(place, torch_dtype(given.dtype))
    record = ModelRecord(
        name=own.resolve().name if own.is_dir() else target,
        spec=where,
        options=dict(options),
        kind=DepthKind.AFFINE_DEPTH,
        revision=commit(unet.parent.resolve()),
        weights_digest=weights_digest([file for part in (unet, *shared) for file in weight_files(part)]),
        parameters=sum(weights.numel() for learnt in network.learnt for weights in learnt.parameters()),
        preprocessing=_described(network, given),
    )
    return GeoWizard(record, network, given)


def _described(network: PairedDiffusion, given: GeoWizardOptions) -> str:
    size = (
        f"longer side {given.processing_res}, aspect kept, Pillow bicubic" if given.processing_res else "photo's size"
    )
    return (
        f"GeoWizard {network.version}: {size}, RGB / 127.5 - 1, domain {given.domain or 'from the scenario'}; "
        f"{network.steps} DDIM steps, {network.ensemble} run(s) from seed {given.seed}, each stretched to 0..1, "
        "lower median, stretched; resized to the photo's size by Pillow's bicubic and clipped"
    )
