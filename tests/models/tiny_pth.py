"""Depth Anything's checkpoints as its authors publish them, made of tiny ones in the hub's layout, for tests."""

from pathlib import Path
from typing import Any


def save(folder: Path, file: Path) -> Path:
    """Write the weights of a hub folder as the authors' `.pth`, and return the file."""
    import torch
    from safetensors.torch import load_file

    torch.save(as_original(load_file(folder / "model.safetensors")), file)
    return file


def as_original(hub: dict[str, Any]) -> dict[str, Any]:
    """The weights of a hub folder under the names of the authors' code, written out block by block."""
    import torch

    blocks = 1 + max(int(name.split(".")[3]) for name in hub if name.startswith("backbone.encoder.layer."))
    original = {
        "pretrained.cls_token": hub["backbone.embeddings.cls_token"],
        "pretrained.pos_embed": hub["backbone.embeddings.position_embeddings"],
        "pretrained.mask_token": hub["backbone.embeddings.mask_token"],
    }

    def copy(theirs: str, ours: str, kinds: tuple[str, ...] = ("weight", "bias")) -> None:
        for kind in kinds:
            original[f"{theirs}.{kind}"] = hub[f"{ours}.{kind}"]

    copy("pretrained.patch_embed.proj", "backbone.embeddings.patch_embeddings.projection")
    copy("pretrained.norm", "backbone.layernorm")
    for i in range(blocks):
        theirs, ours = f"pretrained.blocks.{i}", f"backbone.encoder.layer.{i}"
        for part in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
            copy(f"{theirs}.{part}", f"{ours}.{part}")
        copy(f"{theirs}.attn.proj", f"{ours}.attention.output.dense")
        for kind in ("weight", "bias"):
            parts = [hub[f"{ours}.attention.attention.{part}.{kind}"] for part in ("query", "key", "value")]
            original[f"{theirs}.attn.qkv.{kind}"] = torch.cat(parts)
        for scale in (1, 2):
            original[f"{theirs}.ls{scale}.gamma"] = hub[f"{ours}.layer_scale{scale}.lambda1"]
    for i in range(4):
        copy(f"depth_head.projects.{i}", f"neck.reassemble_stage.layers.{i}.projection")
        if i != 2:
            copy(f"depth_head.resize_layers.{i}", f"neck.reassemble_stage.layers.{i}.resize")
        copy(f"depth_head.scratch.layer{i + 1}_rn", f"neck.convs.{i}", ("weight",))
        finest_first, coarsest_first = f"depth_head.scratch.refinenet{i + 1}", f"neck.fusion_stage.layers.{3 - i}"
        copy(f"{finest_first}.out_conv", f"{coarsest_first}.projection")
        for unit in (1, 2):
            for conv in (1, 2):
                copy(
                    f"{finest_first}.resConfUnit{unit}.conv{conv}",
                    f"{coarsest_first}.residual_layer{unit}.convolution{conv}",
                )
    for number, theirs in ((1, "output_conv1"), (2, "output_conv2.0"), (3, "output_conv2.2")):
        copy(f"depth_head.scratch.{theirs}", f"head.conv{number}")
    return original
