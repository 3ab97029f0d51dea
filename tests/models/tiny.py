"""Tiny random checkpoints of every depth family, in the hub's layout, for tests; a fraction of a megabyte each."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any


def save(family: str, folder: Path, seed: int = 0) -> Path:
    """Write a random checkpoint of this family, one of `FAMILIES`, and return its folder."""
    import torch
    from transformers import AutoModelForDepthEstimation

    config, processor = FAMILIES[family]()
    torch.manual_seed(seed)
    network = AutoModelForDepthEstimation.from_config(config).eval()
    # The hybrid's map would be below zero nearly everywhere, and is cut off there.
    widen(network, bias=10.0 if family == "dpt_hybrid" else 2.0)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def widen(network: Any, bias: float) -> None:
    """Give a network weights wide enough that its map depends on the photo: as initialised, maps are constant.

    `bias` is added to the map, where its last layer can do so.
    """
    import torch

    with torch.no_grad():
        for name, values in network.named_parameters():
            if values.ndim > 1 and "position" not in name:
                values.normal_(0, 1.0 / math.sqrt(values[0].numel()))
        heads = [
            module for module in network.modules() if isinstance(module, torch.nn.Conv2d) and module.out_channels == 1
        ]
        for head in heads:
            if head.bias is not None:
                head.bias.fill_(bias)


def _dinov2(layers: int, taps: list[int], **changes: Any) -> Any:
    from transformers import Dinov2Config

    return Dinov2Config(
        hidden_size=24,
        num_hidden_layers=layers,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=70,
        patch_size=14,
        out_indices=taps,
        reshape_hidden_states=False,
        **changes,
    )


def _depth_anything(layers: int, taps: list[int], **changes: Any) -> Any:
    from transformers import DepthAnythingConfig, DPTImageProcessor

    config = DepthAnythingConfig(
        backbone_config=_dinov2(layers, taps),
        reassemble_hidden_size=24,
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=8,
        head_hidden_size=8,
        **changes,
    )
    size = {"height": 70, "width": 70}
    return config, DPTImageProcessor(size=size, keep_aspect_ratio=True, ensure_multiple_of=14)


def _prompt_depth_anything() -> Any:
    from transformers import PromptDepthAnythingConfig, PromptDepthAnythingImageProcessor

    config = PromptDepthAnythingConfig(
        backbone_config=_dinov2(4, [1, 2, 3, 4]),
        reassemble_hidden_size=24,
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=8,
        head_hidden_size=8,
    )
    size = {"height": 70, "width": 70}
    return config, PromptDepthAnythingImageProcessor(size=size, keep_aspect_ratio=True, ensure_multiple_of=14)


def _dpt(**changes: Any) -> Any:
    from transformers import DPTConfig, DPTImageProcessor

    settings: dict[str, Any] = {
        "hidden_size": 24,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "image_size": 64,
        "patch_size": 16,
        "backbone_out_indices": [0, 1, 2, 3],
        "neck_hidden_sizes": [8, 8, 16, 16],
        "fusion_hidden_size": 8,
    }
    return DPTConfig(**{**settings, **changes}), DPTImageProcessor(size={"height": 64, "width": 64})


def _beit(**changes: Any) -> Any:
    from transformers import BeitConfig

    return BeitConfig(
        hidden_size=24,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=64,
        patch_size=16,
        out_indices=[1, 2, 3, 4],
        use_relative_position_bias=True,
        reshape_hidden_states=False,
    )


def _dpt_beit() -> Any:
    from transformers import DPTImageProcessor

    config, _ = _dpt(backbone_config=_beit())
    processor = DPTImageProcessor(size={"height": 64, "width": 64}, keep_aspect_ratio=True, ensure_multiple_of=32)
    return config, processor


def _dpt_hybrid() -> Any:
    backbone = {
        "model_type": "bit",
        "global_padding": "same",
        "layer_type": "bottleneck",
        "depths": [1, 1, 1],
        "hidden_sizes": [8, 16, 24],
        "embedding_size": 8,
        "num_groups": 4,
        "out_features": ["stage1", "stage2", "stage3"],
        "embedding_dynamic_padding": True,
    }
    return _dpt(
        is_hybrid=True,
        backbone_config=backbone,
        backbone_featmap_shape=[1, 24, 4, 4],
        neck_hidden_sizes=[8, 16, 16, 16],
    )


def _zoedepth(heads: int) -> Any:
    from transformers import ZoeDepthConfig, ZoeDepthImageProcessor

    names = ["nyu", "kitti"][:heads]
    bins = [
        {"name": name, "n_bins": 8, "min_depth": 0.001, "max_depth": 10.0 * (i + 1)} for i, name in enumerate(names)
    ]
    config = ZoeDepthConfig(
        backbone_config=_beit(),
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=8,
        bottleneck_features=8,
        num_relative_features=8,
        num_attractors=[4, 2, 2, 1],
        bin_embedding_dim=8,
        bin_configurations=bins,
        num_patch_transformer_layers=4,
        patch_transformer_hidden_size=128,
        patch_transformer_intermediate_size=16,
        patch_transformer_num_attention_heads=2,
    )
    return config, ZoeDepthImageProcessor(size={"height": 64, "width": 96}, ensure_multiple_of=32)


def _depth_pro(field_of_view: bool) -> Any:
    from transformers import DepthProConfig, DepthProImageProcessor

    vit = {
        "model_type": "dinov2",
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "mlp_ratio": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    config = DepthProConfig(
        patch_size=32,
        image_model_config=dict(vit),
        patch_model_config=dict(vit),
        fov_model_config=dict(vit),
        fusion_hidden_size=8,
        intermediate_hook_ids=[1, 0],
        intermediate_feature_dims=[8, 8],
        scaled_images_feature_dims=[8, 8, 8],
        use_fov_model=field_of_view,
    )
    return config, DepthProImageProcessor(size={"height": 128, "width": 128})


def _glpn() -> Any:
    from transformers import GLPNConfig, GLPNImageProcessor

    config = GLPNConfig(
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        mlp_ratios=[2, 2, 2, 2],
        decoder_hidden_size=8,
        max_depth=10,
    )
    return config, GLPNImageProcessor()


def _chmv2() -> Any:
    from transformers import CHMv2Config, CHMv2ImageProcessor, DINOv3ViTConfig

    backbone = DINOv3ViTConfig(
        image_size=64,
        patch_size=16,
        hidden_size=24,
        intermediate_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        num_register_tokens=1,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=True,
        return_class_token=True,
    )
    config = CHMv2Config(
        backbone_config=backbone,
        post_process_channels=[8, 8, 16, 16],
        fusion_hidden_size=8,
        head_hidden_size=8,
        number_output_channels=16,
    )
    return config, CHMv2ImageProcessor()


def _tipsv2_dpt() -> Any:
    from transformers import Tipsv2DptConfig, Tipsv2DptImageProcessor

    backbone = {
        "model_type": "tipsv2_vision_model",
        "image_size": 56,
        "patch_size": 14,
        "hidden_size": 24,
        "intermediate_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "out_indices": [1, 2, 3, 4],
        "apply_layernorm": True,
        "reshape_hidden_states": False,
    }
    config = Tipsv2DptConfig(
        backbone_config=backbone, neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=8, num_depth_bins=16
    )
    return config, Tipsv2DptImageProcessor(size={"height": 56, "width": 56})


FAMILIES: dict[str, Callable[[], Any]] = {
    "depth_anything_v1": lambda: _depth_anything(6, [3, 4, 5, 6]),
    "depth_anything_v2": lambda: _depth_anything(8, [2, 4, 6, 8]),
    "depth_anything_metric": lambda: _depth_anything(4, [1, 2, 3, 4], depth_estimation_type="metric", max_depth=20),
    "prompt_depth_anything": _prompt_depth_anything,
    "dpt": _dpt,
    "dpt_beit": _dpt_beit,
    "dpt_hybrid": _dpt_hybrid,
    "zoedepth": lambda: _zoedepth(1),
    "zoedepth_two_heads": lambda: _zoedepth(2),
    "depth_pro": lambda: _depth_pro(True),
    "depth_pro_without_field_of_view": lambda: _depth_pro(False),
    "glpn": _glpn,
    "chmv2": _chmv2,
    "tipsv2_dpt": _tipsv2_dpt,
}
