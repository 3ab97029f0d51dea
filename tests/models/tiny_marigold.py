"""A tiny random Marigold pipeline in the hub's layout, for tests: under four megabytes, written in a moment."""

import json
import math
from pathlib import Path
from typing import Any


def save(folder: Path, scheduler: str = "DDIMScheduler", seed: int = 0, prediction_type: str = "depth") -> Path:
    """Write the pipeline and return its folder, which recommends two steps at 64 pixels."""
    import diffusers
    import torch

    torch.manual_seed(seed)
    pipeline = diffusers.MarigoldDepthPipeline(
        unet=_unet(),
        vae=_vae(),
        scheduler=_scheduler(scheduler),
        text_encoder=_text_encoder(),
        tokenizer=_tokenizer(folder / "tokenizer"),
        prediction_type=prediction_type,
        scale_invariant=True,
        shift_invariant=True,
        default_denoising_steps=2,
        default_processing_resolution=64,
    )
    for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
        _widen(part)
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def _unet() -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=8,
        in_channels=8,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(16, 32),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=8,
        norm_num_groups=8,
        use_linear_projection=True,
    )


def _vae() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=64,
    )


def _scheduler(name: str) -> Any:
    import diffusers

    return getattr(diffusers, name)(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        prediction_type="v_prediction",
        set_alpha_to_one=False,
        timestep_spacing="trailing",
    )


def _text_encoder() -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=514,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=77,
            bos_token_id=512,
            eos_token_id=513,
            pad_token_id=513,
        )
    )


def _tokenizer(words: Path) -> Any:
    """CLIP's tokenizer with no merges: one token for each byte, and one for each byte that ends a word."""
    from transformers import CLIPTokenizer

    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    letters = [*map(chr, visible), *(chr(256 + i) for i in range(len(hidden)))]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    words.mkdir(parents=True)
    (words / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (words / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(words, model_max_length=77)


def _widen(network: Any) -> None:
    """Weights wide enough that the map depends on the photo, on the noise and on the steps."""
    import torch

    with torch.no_grad():
        for values in network.parameters():
            if values.ndim > 1:
                values.normal_(0, 1.0 / math.sqrt(values[0].numel()))
