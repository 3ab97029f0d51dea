"""`hf:<hub id or folder>`: the depth families that transformers' AutoModelForDepthEstimation loads."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from da2k.depth import DepthKind, DepthMap
from da2k.errors import BadModel
from da2k.images import Photo
from da2k.models import checkpoints, depth_anything
from da2k.models.devices import Dtype, choose_device, inference, require_dtype, torch_dtype
from da2k.models.hub import local_folder
from da2k.models.options import Options, parse_options
from da2k.models.processors import Steps, processor_steps
from da2k.results import ModelRecord

if TYPE_CHECKING:
    import torch


class HubOptions(Options):
    """`--model-option` for `hf:`.

    Attributes:
        kind: what the maps mean. Needed where the checkpoint does not tell; elsewhere it overrules the
            checkpoint, and the record says so.
        revision: branch, tag or commit of a hub id.
        version: "1" or "2", which Depth Anything a checkpoint is, where the taps of its backbone mislead.
        input_size: shorter side that a Depth Anything network sees, a multiple of 14; 518 if not given.
        dtype: what the network computes in. Half precision needs a GPU; it changes the order of close pairs.
    """

    kind: DepthKind | None = None
    revision: str | None = None
    version: Literal["1", "2"] | None = None
    input_size: int | None = Field(default=None, gt=0)
    dtype: Dtype = "float32"


class HubModel:
    """A depth network of transformers, with the steps that belong to it."""

    def __init__(self, record: ModelRecord, network: Any, steps: Steps, device: "torch.device", dtype: Dtype) -> None:
        self.record = record
        self.device = str(device)
        self.dtype = dtype
        self._network = network
        self._steps = steps

    def predict(self, images: Sequence[Photo]) -> list[DepthMap]:
        """One map an image, in their order; images of one size run together."""
        kind = self.record.kind
        assert kind is not None
        maps: dict[int, DepthMap] = {}
        for batch in _batches(images, self._steps.one_by_one):
            with inference():
                pixels = self._steps.prepare([images[i].pixels for i in batch]).to(self.device, self._network.dtype)
                found = self._steps.finish(self._network(pixel_values=pixels), images[batch[0]].size).float()
            maps |= {i: DepthMap(values, kind) for i, values in zip(batch, found.cpu().numpy(), strict=True)}
        return [maps[i] for i in range(len(images))]


def _batches(images: Sequence[Photo], one_by_one: bool) -> Iterator[list[int]]:
    if one_by_one:
        yield from ([i] for i in range(len(images)))
        return
    by_size: dict[tuple[int, int], list[int]] = {}
    for i, photo in enumerate(images):
        by_size.setdefault(photo.size, []).append(i)
    yield from by_size.values()


def load(target: str, options: Mapping[str, str], device: str) -> HubModel:
    """Load a checkpoint.

    Args:
        target: a folder with config.json and weights, or a hub id, OWNER/NAME.
        options: see `HubOptions`.
        device: see `choose_device`.

    Raises:
        BadModel: it is no depth checkpoint, weights are missing or do not fit, or `kind` is needed.
        Unreachable: a hub id is not in the cache and the hub cannot be reached.
        MissingExtra: torch or transformers is not installed.
    """
    where = f"hf:{target}"
    given = parse_options(HubOptions, options, where)
    place = choose_device(device)
    require_dtype(given.dtype, place, where)
    folder = local_folder(target, given.revision)
    with checkpoints.quiet():
        config = checkpoints.read_config(folder, where)
        kind, remark = _kind(config, given.kind, where)
        if config.model_type == "depth_anything":
            steps = depth_anything.steps(config, given.input_size or 518, given.version, where)
        elif given.version or given.input_size:
            raise BadModel(f"{where}: options version and input_size are for Depth Anything, not {config.model_type}")
        else:
            steps = processor_steps(folder, config, where)
        network = checkpoints.load_network(folder, config, where)
    record = ModelRecord(
        name=target if folder != Path(target).expanduser() else folder.resolve().name,
        spec=where,
        options=dict(options),
        kind=kind,
        revision=checkpoints.commit(folder.resolve()),
        weights_digest=checkpoints.weights_digest(checkpoints.weight_files(folder)),
        parameters=sum(p.numel() for p in network.parameters()),
        preprocessing=steps.preprocessing + remark,
        aspect=steps.aspect,
    )
    return HubModel(record, network.to(place, torch_dtype(given.dtype)), steps, place, given.dtype)


def _kind(config: Any, stated: DepthKind | None, where: str) -> tuple[DepthKind, str]:
    """What the maps mean, and a remark for the record if the user overrules the checkpoint."""
    told = _told(config) or stated
    if told is None:
        raise BadModel(
            f"{where}: a {config.model_type} checkpoint does not tell what its maps mean; it is one of "
            f"{', '.join(DepthKind)}: for MiDaS, say, give --model-option kind={DepthKind.AFFINE_DISPARITY}"
        )
    if stated is None or stated is told:
        return told, ""
    if stated.larger_is_nearer and config.model_type == "depth_pro":
        raise BadModel(
            f"{where}: option kind={stated}: Depth Pro's inverse depth is made into {told} here; leave it out"
        )
    return stated, f"; kind {stated} stated by the user against the checkpoint's {told}"


def _told(config: Any) -> DepthKind | None:
    """What the checkpoint itself says about its maps."""
    match config.model_type:
        case "depth_anything":
            metric = config.depth_estimation_type == "metric"
            return DepthKind.METRIC_DEPTH if metric else DepthKind.AFFINE_DISPARITY
        case "depth_pro":
            # Without its field-of-view network the focal length, one factor an image, stays unknown.
            return DepthKind.METRIC_DEPTH if config.use_fov_model else DepthKind.SCALE_INVARIANT_DEPTH
        case "glpn" | "zoedepth":
            return DepthKind.METRIC_DEPTH
    return None
