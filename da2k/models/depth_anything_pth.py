"""Depth Anything checkpoints as their authors publish them (`depth_anything_v2_vits.pth`), in transformers' network."""

import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from da2k.errors import BadModel
from da2k.models import checkpoints
from da2k.models.checkpoints import one_line

_TAPS = {12: (3, 6, 9, 12), 24: (5, 12, 18, 24), 40: (10, 20, 30, 40), 4: (1, 2, 3, 4)}
"""Blocks whose outputs V2 reads, counted from 1, by the number of blocks; V1 reads the last four."""

_BLOCK = "backbone.encoder.layer."
_RENAMED = (
    (r"^pretrained\.(cls_token|mask_token)$", r"backbone.embeddings.\1"),
    (r"^pretrained\.pos_embed$", "backbone.embeddings.position_embeddings"),
    (r"^pretrained\.patch_embed\.proj\.", "backbone.embeddings.patch_embeddings.projection."),
    (r"^pretrained\.norm\.", "backbone.layernorm."),
    (r"^pretrained\.blocks\.(\d+)\.attn\.proj\.", _BLOCK + r"\1.attention.output.dense."),
    (r"^pretrained\.blocks\.(\d+)\.ls([12])\.gamma$", _BLOCK + r"\1.layer_scale\2.lambda1"),
    (r"^pretrained\.blocks\.(\d+)\.(norm[12]|mlp\.fc[12])\.", _BLOCK + r"\1.\2."),
    (r"^depth_head\.projects\.(\d)\.", r"neck.reassemble_stage.layers.\1.projection."),
    (r"^depth_head\.resize_layers\.(\d)\.", r"neck.reassemble_stage.layers.\1.resize."),
    (r"^depth_head\.scratch\.output_conv1\.", "head.conv1."),
    (r"^depth_head\.scratch\.output_conv2\.0\.", "head.conv2."),
    (r"^depth_head\.scratch\.output_conv2\.2\.", "head.conv3."),
)
_FUSION = r"^depth_head\.scratch\.refinenet([1-4])\.(out_conv|resConfUnit([12])\.conv([12]))\.(weight|bias)$"
_SUFFIXES = (".pth", ".pt")


def is_original(target: str) -> bool:
    """Whether a target names such a file rather than a folder or a hub id."""
    return target.endswith(_SUFFIXES)


def load_network(file: Path, version: str | None, max_depth: int | None, heads: int | None, where: str) -> Any:
    """The network with the weights of an original checkpoint, all of them, in float32.

    Args:
        file: a state dict saved by torch; pickled code in it is never run.
        version: "1" or "2"; the two differ in the blocks that are read, which the file does not say.
        max_depth: metres of the farthest depth, for V2's metric checkpoints; None for the relative ones.
        heads: attention heads, where they are not 64 wide.
        where: names the model in errors.

    Raises:
        BadModel: the file is missing, no state dict of Depth Anything, or lacks weights.
    """
    from transformers import DepthAnythingForDepthEstimation

    if version is None:
        raise BadModel(f"{where}: the file does not say which Depth Anything it is; give --model-option version=1 or 2")
    original = _state_dict(file, where)
    try:
        config = _config(original, version, max_depth, heads)
        weights = renamed(original)
    except (KeyError, IndexError, AttributeError, ValueError) as e:
        raise BadModel(f"{where}: no state dict of Depth Anything V{version} ({one_line(e)})") from None
    try:
        # Under the names of the hub's files, which transformers itself turns into those of its modules.
        network, report = DepthAnythingForDepthEstimation.from_pretrained(
            None, config=config, state_dict=weights, output_loading_info=True, ignore_mismatched_sizes=True
        )
    except Exception as e:  # transformers raises many types on weights that do not fit
        raise BadModel(f"{where}: its weights do not fit the network ({one_line(e)})") from None
    checkpoints.require_its_weights(report, where)
    return network.float().eval()


def renamed(original: Mapping[str, Any]) -> dict[str, Any]:
    """The weights under the names of the hub's files.

    Queries, keys and values, one matrix in the original, become three; the fusion blocks count from the
    coarsest, where the original counts from the finest.
    """
    weights: dict[str, Any] = {}
    for name, weight in original.items():
        fused = re.match(r"^pretrained\.blocks\.(\d+)\.attn\.qkv\.(weight|bias)$", name)
        fusion = re.match(_FUSION, name)
        if fused:
            for part, value in zip(("query", "key", "value"), weight.chunk(3), strict=True):
                weights[f"{_BLOCK}{fused[1]}.attention.attention.{part}.{fused[2]}"] = value.contiguous()
        elif fusion:
            unit = f"residual_layer{fusion[3]}.convolution{fusion[4]}" if fusion[3] else "projection"
            weights[f"neck.fusion_stage.layers.{4 - int(fusion[1])}.{unit}.{fusion[5]}"] = weight
        elif found := re.match(r"^depth_head\.scratch\.layer([1-4])_rn\.weight$", name):
            weights[f"neck.convs.{int(found[1]) - 1}.weight"] = weight
        else:
            weights[next((re.sub(a, b, name) for a, b in _RENAMED if re.search(a, name)), name)] = weight
    return weights


def _config(original: Mapping[str, Any], version: str, max_depth: int | None, heads: int | None) -> Any:
    """The configuration that the shapes of the weights imply."""
    from transformers import DepthAnythingConfig, Dinov2Config

    blocks = 1 + max(int(n.split(".")[2]) for n in original if n.startswith("pretrained.blocks."))
    width = original["pretrained.cls_token"].shape[-1]
    patch = original["pretrained.patch_embed.proj.weight"].shape[-1]
    taps = _TAPS[blocks] if version == "2" else tuple(range(blocks - 3, blocks + 1))
    if heads is None and width % 64:
        raise ValueError(f"its width, {width}, is no multiple of 64; give --model-option heads=…")
    backbone = Dinov2Config(
        hidden_size=width,
        num_hidden_layers=blocks,
        num_attention_heads=heads or width // 64,
        mlp_ratio=original["pretrained.blocks.0.mlp.fc1.weight"].shape[0] // width,
        image_size=patch * math.isqrt(original["pretrained.pos_embed"].shape[1] - 1),
        patch_size=patch,
        out_indices=list(taps),
        reshape_hidden_states=False,
    )
    return DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=patch,
        reassemble_hidden_size=width,
        neck_hidden_sizes=[original[f"depth_head.projects.{i}.weight"].shape[0] for i in range(4)],
        fusion_hidden_size=original["depth_head.scratch.layer1_rn.weight"].shape[0],
        head_hidden_size=original["depth_head.scratch.output_conv2.0.weight"].shape[0],
        depth_estimation_type="relative" if max_depth is None else "metric",
        max_depth=max_depth or 1,
    )


def _state_dict(file: Path, where: str) -> Mapping[str, Any]:
    import torch

    if not file.is_file():
        raise BadModel(f"{where}: no such file; give the path of the checkpoint")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on pickles it is about to refuse, torch muses about their protocol
            content = torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise BadModel(f"{where}: holds more than weights, and pickled code is never run") from None
    except Exception as e:  # torch raises many types on files that are no checkpoints
        raise BadModel(f"{where}: cannot be read as a checkpoint ({one_line(e)})") from None
    inner = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(inner, dict) or not all(isinstance(v, torch.Tensor) for v in inner.values()):
        raise BadModel(f"{where}: holds no state dict (names and tensors)")
    return {name.removeprefix("module."): weight for name, weight in inner.items()}
