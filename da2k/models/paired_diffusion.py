"""How GeoWizard's networks make depth: joint attention, class labels, conditions, denoising (arXiv 2403.12013).

The UNet is diffusers' own; what makes it GeoWizard's is `joint_attention`. Steps and constants are those of the
authors' two pipelines: in version 1 the photo itself is the condition, in version 2 a text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from da2k.errors import BadInput, BadModel
from da2k.models.checkpoints import one_line, read_json
from da2k.models.pipeline_parts import load_network

if TYPE_CHECKING:
    import torch

Domain = Literal["indoor", "outdoor", "object"]
Version = Literal["1", "2"]

PARTS: Mapping[Version, tuple[str, ...]] = {
    "1": ("unet", "vae", "scheduler", "image_encoder", "feature_extractor"),
    "2": ("unet_v2", "vae", "scheduler", "text_encoder", "tokenizer"),
}
"""The subfolders of a checkpoint that each version needs, its UNet first."""

_LABELS: Mapping[Version, int] = {"1": 10, "2": 4}
"""Length of the class labels that each version's UNet takes."""
_LABEL_KEY = "projection_class_embeddings_input_dim"
_LATENT_SCALE = 0.18215
_SMALLEST = 8
"""Pixels of the photo that become one of the UNet's, along each side."""


def joint_attention(
    attn: Any,
    hidden_states: "torch.Tensor",
    encoder_hidden_states: None = None,  # noqa: ARG001
    attention_mask: None = None,  # noqa: ARG001
    temb: None = None,  # noqa: ARG001
) -> "torch.Tensor":
    """Self-attention of depth and normals together: a processor for the `attn1` of diffusers' transformer blocks.

    Args:
        attn: the block's attention.
        hidden_states: [2N, tokens, width], N depths and then the N normals of the same photos. Each asks for
            itself, and both are answered from the tokens of both.
    """
    import torch

    def heads(tokens: torch.Tensor) -> torch.Tensor:
        return tokens.view(*tokens.shape[:2], attn.heads, -1).transpose(1, 2)

    both = torch.cat(hidden_states.chunk(2), dim=1)
    keys, values = (heads(project(both)).repeat(2, 1, 1, 1) for project in (attn.to_k, attn.to_v))
    mixed = torch.nn.functional.scaled_dot_product_attention(heads(attn.to_q(hidden_states)), keys, values)
    projected: torch.Tensor = attn.to_out[0](mixed.transpose(1, 2).flatten(2))
    return projected


def class_labels(version: Version, domain: Domain) -> "torch.Tensor":
    """The UNet's labels of a depth and a normal map, float32 [2, 10] for version 1 and [2, 4] for version 2."""
    import torch

    coded = [torch.tensor([[0.0, 1.0], [1.0, 0.0]])]
    if version == "1":
        coded.append(torch.tensor([[float(domain == each) for each in get_args(Domain)]]).expand(2, -1))
    return torch.cat([wave for code in coded for wave in (code.sin(), code.cos())], dim=-1)


@dataclass(frozen=True, eq=False)
class PairedDiffusion:
    """GeoWizard's networks, and how they make depth.

    Attributes:
        encoder: CLIP's image encoder (version 1) or text encoder (version 2).
        prepare: what feeds it, its image processor or tokenizer.
        steps: denoising steps.
        ensemble: runs a photo.
    """

    version: Version
    unet: Any
    vae: Any
    encoder: Any
    prepare: Any
    scheduler: Any
    steps: int
    ensemble: int

    @property
    def learnt(self) -> tuple[Any, Any, Any]:
        """The networks that have weights."""
        return self.unet, self.vae, self.encoder

    @property
    def device(self) -> "torch.device":
        """Where the networks are."""
        device: torch.device = self.unet.device
        return device

    def runs(self, photos: NDArray[np.uint8], domain: Domain, seed: int) -> NDArray[np.float32]:
        """Maps in 0..1, float32 [E, N, h, w], of photos [N, H, W, 3]; h and w are H and W cut to multiples of 8."""
        import torch

        place = {"device": self.device, "dtype": self.unet.dtype}
        count = len(photos)
        # Contiguous, since torch convolves other layouts in another order of summation.
        images = torch.from_numpy(photos.transpose(0, 3, 1, 2) / 255.0 * 2.0 - 1.0).float().contiguous()
        condition = self.condition(images, domain)
        labels = class_labels(self.version, domain).repeat_interleave(count, dim=0).to(**place)
        latents = self.vae.encode(images.to(**place)).latent_dist.mean * _LATENT_SCALE
        generator = torch.Generator("cpu").manual_seed(seed)
        # The authors' data loader draws this number first.
        torch.empty((), dtype=torch.int64).random_(generator=generator)
        self.scheduler.set_timesteps(self.steps, device=self.device)
        maps = []
        for _ in range(self.ensemble):
            noise = torch.randn((1, *latents.shape[1:]), generator=generator)
            geometry = noise.to(**place).repeat(2 * count, 1, 1, 1)
            for time in self.scheduler.timesteps:
                seen = torch.cat([latents.repeat(2, 1, 1, 1), geometry], dim=1)
                change = self.unet(seen, time, condition, class_labels=labels).sample
                geometry = self.scheduler.step(change, time, geometry).prev_sample
            decoded = self.vae.decode(geometry[:count] / _LATENT_SCALE).sample.float()
            maps.append((decoded.mean(dim=1).clip(-1, 1) + 1) / 2)
        return torch.stack(maps).cpu().numpy()

    def condition(self, images: "torch.Tensor", domain: Domain) -> "torch.Tensor":
        """What the UNet attends to, [2N, tokens, width], for images [N, 3, H, W] in -1..1."""
        import torch

        if self.version == "2":
            words = self.prepare(f"{domain} geometry", return_tensors="pt").input_ids
            told: torch.Tensor = self.encoder(words.to(self.device))[0]
            return told.repeat(2 * len(images), 1, 1)
        size = self.prepare.crop_size["height"], self.prepare.crop_size["width"]
        resize = torch.nn.functional.interpolate
        small = resize((images + 1) / 2, size, mode="bicubic", antialias=True, align_corners=False)
        mean, std = (torch.tensor(x)[:, None, None] for x in (self.prepare.image_mean, self.prepare.image_std))
        shown = ((small - mean) / std).to(device=self.device, dtype=self.unet.dtype)
        told = self.encoder(shown).image_embeds
        return told[:, None].repeat(2, 1, 1)


def load_parts(
    version: Version, unet: Path, shared: Mapping[str, Path], *, steps: int, ensemble: int, where: str
) -> PairedDiffusion:
    """The networks from their folders, with joint attention, in float32 on the CPU.

    Args:
        version: the UNet's.
        unet: its folder.
        shared: the other parts' folders by name, see `PARTS`.
        steps, ensemble: see `PairedDiffusion`.
        where: names the model in errors.

    Raises:
        BadModel: a part is broken, lacks weights, or does not fit the others.
    """
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import AutoImageProcessor, CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

    config = read_json(unet / "config.json")
    wanted = {"in_channels": 8, "class_embed_type": "projection", _LABEL_KEY: _LABELS[version]}
    for key, value in wanted.items():
        if config.get(key) != value:
            what = f"{key} is {config.get(key)!r}, and GeoWizard {version} has {value!r}"
            raise BadModel(f"{where}: {unet.name}/config.json: {what}; option version says which GeoWizard it is")
    denoiser = load_network(UNet2DConditionModel, unet, where)
    processors = denoiser.attn_processors
    paired = {name: joint_attention for name in processors if name.endswith("attn1.processor")}
    denoiser.set_attn_processor({**processors, **paired})
    if version == "1":
        encoder = load_network(CLIPVisionModelWithProjection, shared["image_encoder"], where)
        prepare, width = _load(AutoImageProcessor, shared["feature_extractor"], where), encoder.config.projection_dim
    else:
        encoder = load_network(CLIPTextModel, shared["text_encoder"], where)
        prepare, width = _load(CLIPTokenizer, shared["tokenizer"], where), encoder.config.hidden_size
    if width != denoiser.config.cross_attention_dim:
        what = f"a condition of {width} numbers, and {unet.name} takes {denoiser.config.cross_attention_dim}"
        raise BadModel(f"{where}: {PARTS[version][3]}: makes {what}; it belongs to another checkpoint")
    vae = load_network(AutoencoderKL, shared["vae"], where)
    scheduler = _load(DDIMScheduler, shared["scheduler"], where)
    if steps > scheduler.config.num_train_timesteps:
        raise BadModel(f"{where}: option steps={steps}: the scheduler has {scheduler.config.num_train_timesteps}")
    return PairedDiffusion(version, denoiser, vae, encoder, prepare, scheduler, steps, ensemble)


def _load(kind: Any, part: Path, where: str) -> Any:
    try:
        return kind.from_pretrained(part, local_files_only=True)
    except Exception as e:  # both libraries raise many types on missing or broken files
        raise BadModel(f"{where}: {part.name} cannot be loaded ({one_line(e)})") from None


def processed(pixels: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """A photo, RGB [H, W, 3], with its longer side made `longest` by Pillow's bicubic; 0 keeps its size."""
    height, width = pixels.shape[:2]
    if longest:
        # Cut off and in floating point, as the authors do: a side may come out one pixel short.
        factor = min(longest / width, longest / height)
        height, width = int(height * factor), int(width * factor)
    if min(height, width) < _SMALLEST:
        size = f"{pixels.shape[0]} x {pixels.shape[1]} pixels"
        raise BadInput(
            f"{size}: become {height} x {width}, and GeoWizard needs {_SMALLEST} each way; raise processing_res"
        )
    return np.asarray(PillowImage.fromarray(pixels).resize((width, height)))


def merged(runs: NDArray[np.float32]) -> NDArray[np.float32]:
    """One map in 0..1 from several runs [E, h, w]: each stretched to 0..1, then the median, the lower for even E.

    The authors start from this and then refine each run's scale and shift by two iterations of BFGS, whose finite
    differences (1.5e-8) are below the resolution of their float32 cost: the gradient is zero for the scales and
    rounding noise for the shifts. Runs that differ by 1e-6 then move the result by up to 0.12 or not at all, so
    that nothing but this start can be reproduced. The same two iterations in float64 do move, to somewhere else.
    """
    return _stretched(np.sort(_stretched(runs), axis=0)[(len(runs) - 1) // 2])


def _stretched(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = maps.min(axis=(-2, -1), keepdims=True), maps.max(axis=(-2, -1), keepdims=True)
    stretched: NDArray[np.float32] = (maps - low) / np.maximum(high - low, np.float32(1e-12))
    return stretched
