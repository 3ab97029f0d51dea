"""A small random `Sam` whose masks are many, of different sizes, and differ from prompt to prompt."""

from functools import partial
from typing import Any

SHARES = (0.02, 0.08, 0.25)
"""Of the picture, covered by each of a prompt's three masks, on average."""


def tiny_sam(size: int = 128, seed: int = 0, width: int = 32) -> Any:
    """A `segment_anything.modeling.Sam` of this resolution in pixels, about 0.1 M weights at width 32.

    Weights as torch draws them make masks that are all alike, so the decoder's attention is sharpened. Then, on a
    random picture, predicted IoUs are brought to 0.88 ± 0.05, logits to a wide range (stable masks), and each mask
    to its share of the picture.
    """
    import torch

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        sam = _plain(size, width)
        decoder = sam.mask_decoder
        for weight in decoder.transformer.parameters():
            if weight.ndim > 1:
                weight.mul_(8)
        constant = 10.0
        decoder.output_upscaling[-2].weight[:, 0] = 0
        decoder.output_upscaling[-2].bias[0] = constant
        for network in decoder.output_hypernetworks_mlps:
            network.layers[-1].weight[0] = 0
            network.layers[-1].bias[0] = 0

        logits, iou = _decoded(sam, size)
        scale = 0.05 / iou.std(0)
        last = decoder.iou_prediction_head.layers[-1]
        last.weight[1:] *= scale[:, None]
        last.bias[1:] = (last.bias[1:] - iou.mean(0)) * scale + 0.88
        for mask, share in enumerate(SHARES):
            last = decoder.output_hypernetworks_mlps[mask + 1].layers[-1]
            gain = 200 / logits[:, mask].std()
            threshold = torch.quantile(logits[:, mask].flatten()[::7], 1 - share)
            last.weight *= gain
            last.bias *= gain
            last.bias[0] = -threshold * gain / constant
    return sam


def _plain(size: int, width: int) -> Any:
    import torch
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    patch = 16
    grid = size // patch
    return Sam(
        image_encoder=ImageEncoderViT(
            depth=1,
            embed_dim=32,
            img_size=size,
            mlp_ratio=2,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            num_heads=2,
            patch_size=patch,
            use_rel_pos=True,
            window_size=8,
            out_chans=width,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=width, image_embedding_size=(grid, grid), input_image_size=(size, size), mask_in_chans=4
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=len(SHARES),
            transformer=TwoWayTransformer(depth=2, embedding_dim=width, mlp_dim=2 * width, num_heads=2),
            transformer_dim=width,
            iou_head_depth=3,
            iou_head_hidden_dim=width,
        ),
    ).eval()


def _decoded(sam: Any, size: int) -> tuple[Any, Any]:
    """The decoder's logits and predicted IoUs for 64 random prompts on a random picture."""
    import torch

    picture = torch.nn.functional.interpolate(torch.rand(1, 3, 8, 8) * 255, (size, size), mode="bicubic")
    points = torch.rand(64, 1, 2) * size
    sparse, dense = sam.prompt_encoder(points=(points, torch.ones(64, 1, dtype=torch.int)), boxes=None, masks=None)
    logits, iou = sam.mask_decoder(
        image_embeddings=sam.image_encoder(sam.preprocess(picture)),
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
    )
    return logits, iou
