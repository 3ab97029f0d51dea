"""`marigold:<hub id or folder>`: Marigold's diffusion models of depth, through diffusers' MarigoldDepthPipeline."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from da2k.depth import DepthKind, DepthMap
from da2k.errors import BadModel
from da2k.images import Photo
from da2k.models.checkpoints import commit, one_line, read_json, weights_digest
from da2k.models.devices import Dtype, choose_device, inference, require_dtype, torch_dtype
from da2k.models.options import Options, parse_options
from da2k.models.pipeline_parts import load_network, parts_folder, quiet, weight_files
from da2k.results import ModelRecord

PRESETS = {"paper": {"steps": 50, "ensemble": 10, "processing_res": 768}, "fast": {"ensemble": 1}}
"""Named settings. What a preset leaves open is the folder's recommendation; options win over both.

"paper": the authors' README, for arXiv:2312.02145 with marigold-depth-v1-0; their scripts vary the resolution with the
dataset, and run v1-1 in 1 step with an ensemble of 10. "fast": one run of the few steps that the folder recommends.
Which settings the paper on DA-2K used is not known.
"""

_KINDS = {"depth": DepthKind.AFFINE_DEPTH, "disparity": DepthKind.AFFINE_DISPARITY}
_PIPELINES = ("MarigoldDepthPipeline", "MarigoldPipeline")  # the second is the authors' own, in their older folders
_SCHEDULERS = ("DDIMScheduler", "LCMScheduler")
_ARGUMENTS = {"steps": "num_inference_steps", "ensemble": "ensemble_size", "processing_res": "processing_resolution"}
_NETWORKS = ("unet", "vae", "text_encoder")
PARTS = (*_NETWORKS, "tokenizer", "scheduler")


class MarigoldOptions(Options):
    """`--model-option` for `marigold:`.

    Attributes:
        preset: see `PRESETS`.
        steps: denoising steps; the folder's recommendation if not given.
        ensemble: runs from different noise, aligned, of which the median is taken; 1 if not given.
        processing_res: longer side that the network sees, a multiple of 8, and 0 for the photo's own; the folder's
            recommendation if not given, 768 for the authors' models. Smaller photos are enlarged.
        seed: of the noise; the same for every image, whatever it is batched with.
        dtype: what the networks compute in. Half precision needs a GPU.
        kind: what the maps mean. Needed where the folder does not tell; elsewhere it overrules the folder.
        revision: branch, tag or commit of a hub id.
    """

    preset: Literal["paper", "fast"] | None = None
    steps: int | None = Field(default=None, gt=0)
    ensemble: int | None = Field(default=None, gt=0)
    processing_res: int | None = Field(default=None, ge=0, multiple_of=8)
    seed: int = Field(default=0, ge=0, lt=2**63)
    dtype: Dtype = "float32"
    kind: DepthKind | None = None
    revision: str | None = None


class MarigoldModel:
    """A Marigold pipeline and the settings it is called with."""

    def __init__(self, record: ModelRecord, pipeline: Any, settings: Mapping[str, int], given: MarigoldOptions) -> None:
        self.record, self.device, self.dtype, self.seed = record, str(pipeline.device), given.dtype, given.seed
        self._ensemble = settings["ensemble"]
        self._pipeline = partial(pipeline, **{_ARGUMENTS[option]: value for option, value in settings.items()})

    def predict(self, images: Sequence[Photo]) -> list[DepthMap]:
        """One map an image, of its size, in their order; images of one size run together, ensembles one by one."""
        # The alignment of an ensemble would turn the rounding of a batch into differences of some percent.
        import torch

        kind = self.record.kind
        assert kind is not None
        batches: dict[object, list[int]] = {}
        for i, photo in enumerate(images):
            batches.setdefault(i if self._ensemble > 1 else photo.size, []).append(i)
        maps: dict[int, DepthMap] = {}
        for batch in batches.values():
            pixels = np.stack([images[i].pixels for i in batch])
            noise = [torch.Generator("cpu").manual_seed(self.seed) for _ in batch]
            with inference(), quiet():
                run = self._pipeline(pixels, batch_size=len(batch), generator=noise if len(batch) > 1 else noise[0])
            maps |= {i: DepthMap(values[..., 0], kind) for i, values in zip(batch, run.prediction, strict=True)}
        return [maps[i] for i in range(len(images))]


def load(target: str, options: Mapping[str, str], device: str) -> MarigoldModel:
    """Load a pipeline from a folder or a hub id; see `MarigoldOptions` and `choose_device`.

    Raises:
        BadModel: it is no Marigold pipeline of depth, a part or weights are missing, or an option is needed.
        Unreachable: a hub id is not in the cache and the hub cannot be reached.
        MissingExtra: torch or diffusers is not installed.
    """
    where = f"marigold:{target}"
    given = parse_options(MarigoldOptions, options, where)
    place = choose_device(device)
    require_dtype(given.dtype, place, where)
    folder = parts_folder(target, given.revision, PARTS, where)
    index = read_json(folder / "model_index.json")
    told: Any = index.get("prediction_type")
    scheduler = next((name for name in _SCHEDULERS if index.get("scheduler") == ["diffusers", name]), None)
    if index.get("_class_name") not in _PIPELINES or scheduler is None or told not in (None, *_KINDS):
        what = f"{index.get('_class_name')!r} with {index.get('scheduler')!r} and prediction_type {told!r}"
        raise BadModel(f"{where}: model_index.json: {what} is no Marigold pipeline of depth or disparity")
    kind = given.kind or _KINDS.get(told)
    if kind is None:
        way_out = "for Marigold models of depth give --model-option kind=affine_depth"
        raise BadModel(f"{where}: model_index.json has no prediction_type, so the kind is unknown; {way_out}")
    recommended = {"steps": "default_denoising_steps", "processing_res": "default_processing_resolution"}
    settings: dict[str, Any] = {"ensemble": 1} | {option: index.get(key) for option, key in recommended.items()}
    settings |= PRESETS.get(given.preset or "", {}) | given.model_dump(include={*settings}, exclude_none=True)
    if lacking := [option for option, value in settings.items() if value is None]:
        raise BadModel(f"{where}: model_index.json recommends no {lacking[0]}; give --model-option {lacking[0]}=…")
    with quiet():
        pipeline = _assemble(folder, scheduler, settings["steps"], where).to(place, torch_dtype(given.dtype))
    remark = "" if kind is _KINDS.get(told, kind) else f"; kind {kind} stated by the user against the folder's {told}"
    record = ModelRecord(
        name=target if folder != Path(target).expanduser() else folder.resolve().name,
        spec=where,
        options=dict(options),
        kind=kind,
        revision=commit(folder.resolve()),
        weights_digest=weights_digest([file for part in _NETWORKS for file in weight_files(folder / part)]),
        parameters=sum(p.numel() for part in _NETWORKS for p in getattr(pipeline, part).parameters()),
        preprocessing=f"RGB / 255, longer side {settings['processing_res'] or 'kept'}, bilinear with antialias, edges "
        f"repeated to multiples of 8; {settings['steps']} steps of {scheduler}, ensemble of {settings['ensemble']}, "
        f"seed {given.seed} for each image; map resized to the image's, bilinear, corners not aligned{remark}",
    )
    return MarigoldModel(record, pipeline, settings, given)


def _assemble(folder: Path, scheduler: str, steps: int, where: str) -> Any:
    """The pipeline of a folder's parts, each loaded by the class that it has to be."""
    import diffusers
    from transformers import CLIPTextModel, CLIPTokenizer

    kinds = (diffusers.UNet2DConditionModel, diffusers.AutoencoderKL, CLIPTextModel)
    parts = {name: load_network(kind, folder / name, where) for name, kind in zip(_NETWORKS, kinds, strict=True)}
    try:
        parts["scheduler"] = getattr(diffusers, scheduler).from_pretrained(folder / "scheduler")
        parts["scheduler"].set_timesteps(steps)
        parts["tokenizer"] = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    except Exception as e:  # both libraries raise many types on missing or broken settings
        raise BadModel(f"{where}: its tokenizer, or its scheduler with {steps} steps, fails ({one_line(e)})") from None
    pipeline = diffusers.MarigoldDepthPipeline(**parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
