"""A tiny random GeoWizard of both versions in the hub's layout, for tests: a fraction of a megabyte."""

import json
from pathlib import Path


def save(folder: Path, seed: int = 0) -> Path:
    """Write the checkpoint and return its folder: `unet` and `unet_v2`, and the parts that either needs."""
    import diffusers
    import torch
    import transformers

    torch.manual_seed(seed)
    unet = {
        "sample_size": 8,
        "in_channels": 8,
        "out_channels": 4,
        "layers_per_block": 1,
        "block_out_channels": (8, 16),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "attention_head_dim": 2,
        "norm_num_groups": 4,
        "cross_attention_dim": 12,
        "class_embed_type": "projection",
    }
    networks = {
        "unet": diffusers.UNet2DConditionModel(**unet, projection_class_embeddings_input_dim=10),
        "unet_v2": diffusers.UNet2DConditionModel(**unet, projection_class_embeddings_input_dim=4),
        "vae": diffusers.AutoencoderKL(
            down_block_types=["DownEncoderBlock2D"] * 4,
            up_block_types=["UpDecoderBlock2D"] * 4,
            block_out_channels=[8, 8, 8, 16],
            norm_num_groups=4,
            latent_channels=4,
        ),
        "image_encoder": transformers.CLIPVisionModelWithProjection(
            transformers.CLIPVisionConfig(
                hidden_size=16,
                intermediate_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                image_size=28,
                patch_size=14,
                projection_dim=12,
            )
        ),
        "text_encoder": transformers.CLIPTextModel(
            transformers.CLIPTextConfig(
                vocab_size=100, hidden_size=12, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
            )
        ),
    }
    for name, network in networks.items():
        with torch.no_grad():
            # As initialised, the conditions hardly reach the map.
            for weights in network.parameters():
                if weights.ndim > 1:
                    weights.normal_(0, 1.2 / weights[0].numel() ** 0.5)
        network.save_pretrained(folder / name)
    diffusers.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    ).save_pretrained(folder / "scheduler")
    size = {"height": 28, "width": 28}
    transformers.CLIPImageProcessor(size={"shortest_edge": 28}, crop_size=size).save_pretrained(
        folder / "feature_extractor"
    )
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer" / "tokenizer_config.json").write_text('{"tokenizer_class": "CLIPTokenizer"}')
    return folder
