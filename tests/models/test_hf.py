"""Checkpoints of every depth family of transformers: what their maps mean, cover, and need."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from da2k.depth import DepthKind, DepthMap, covers
from da2k.errors import BadModel, Da2kError
from da2k.images import Photo
from da2k.models.checkpoints import FAMILIES
from da2k.models.devices import choose_device, inference
from da2k.models.registry import load_model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

Folder = Callable[[str], Path]

TOLD = {
    "depth_anything_v1": "affine_disparity",
    "depth_anything_v2": "affine_disparity",
    "depth_anything_metric": "metric_depth",
    "zoedepth": "metric_depth",
    "zoedepth_two_heads": "metric_depth",
    "depth_pro": "metric_depth",
    "depth_pro_without_field_of_view": "scale_invariant_depth",
    "glpn": "metric_depth",
}
"""Checkpoint of tiny.py → the kind that its configuration tells."""
SILENT = ("prompt_depth_anything", "dpt", "dpt_beit", "dpt_hybrid", "chmv2", "tipsv2_dpt")
"""Those whose configuration does not tell."""
STRETCHED = ("depth_pro", "depth_pro_without_field_of_view", "dpt", "dpt_hybrid", "glpn", "tipsv2_dpt")
"""Those that squeeze photos into one shape, or round sides down so far that the aspect is lost."""


def load(folder: Path, **options: str) -> Any:
    return load_model(f"hf:{folder}", options, "cpu")


def load_any(name: str, folder: Path) -> Any:
    options = {"kind": "metric_depth"} if name in SILENT else {}
    return load(folder, **options, **({"input_size": "70"} if name.startswith("depth_anything") else {}))


def refused(folder: Path | str, **options: str) -> str:
    """The one line with which a checkpoint is refused."""
    with pytest.raises(Da2kError) as e:
        load_model(f"hf:{folder}", options, "cpu")
    assert "\n" not in str(e.value)
    return str(e.value)


def raw_output(folder: Path, photo: Photo) -> tuple[Any, Any]:
    """(processor, network output) of a checkpoint, straight from transformers."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    network = transformers.AutoModelForDepthEstimation.from_pretrained(folder)
    with torch.no_grad():
        return processor, network(**processor(photo.pixels, return_tensors="pt"))


def change_weights(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def change_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_every_family_is_among_the_tiny_checkpoints(checkpoint: Folder) -> None:
    configs = [json.loads((checkpoint(name) / "config.json").read_text()) for name in (*TOLD, *SILENT)]
    assert {config["model_type"] for config in configs} == set(FAMILIES)


@pytest.mark.parametrize("name", [*TOLD, *SILENT])
def test_maps_cover_their_photos_and_depend_neither_on_the_batch_nor_on_the_run(
    checkpoint: Folder, photos: list[Photo], name: str
) -> None:
    model = load_any(name, checkpoint(name))
    together = model.predict(photos)
    alone = [model.predict([photo])[0] for photo in photos]

    again = load_any(name, checkpoint(name)).predict(photos)
    assert [depth.values.tobytes() for depth in again] == [depth.values.tobytes() for depth in together]
    assert model.predict([]) == []
    assert model.record.aspect == ("stretched" if name in STRETCHED else "kept")
    assert (model.device, model.dtype) == ("cpu", "float32")
    for found, single, photo in zip(together, alone, photos, strict=True):
        span = float(np.ptp(single.values))
        assert span > 0.01 * np.abs(single.values).max(), "a flat map would make this test empty"
        assert np.abs(found.values - single.values).max() <= 1e-4 * min(span, 1)
        assert found.kind == model.record.kind
        assert model.record.aspect == "stretched" or covers(found.size, photo.size)
    assert np.abs(together[0].values - together[2].values).max() > 1e-3 * np.ptp(together[0].values)


@pytest.mark.parametrize(("name", "kind"), TOLD.items())
def test_the_configuration_tells_the_kind(checkpoint: Folder, name: str, kind: str) -> None:
    assert load(checkpoint(name)).record.kind == kind


@pytest.mark.parametrize("name", SILENT)
def test_the_user_tells_the_kind_where_the_configuration_cannot(checkpoint: Folder, name: str) -> None:
    message = refused(checkpoint(name))
    assert all(kind in message for kind in DepthKind)
    assert "--model-option kind=affine_disparity" in message
    record = load(checkpoint(name), kind="affine_disparity").record
    assert record.kind == "affine_disparity"
    assert "against" not in record.preprocessing
    assert record.options == {"kind": "affine_disparity"}


def test_a_kind_against_the_checkpoint_is_written_down_or_refused(checkpoint: Folder) -> None:
    record = load(checkpoint("glpn"), kind="affine_disparity").record
    assert record.kind == "affine_disparity"
    assert "kind affine_disparity stated by the user against the checkpoint's metric_depth" in record.preprocessing
    assert "leave it out" in refused(checkpoint("depth_pro"), kind="affine_disparity")
    assert "kind='depth'" in refused(checkpoint("glpn"), kind="depth")


@pytest.mark.parametrize(("name", "sees_field"), [("depth_pro", True), ("depth_pro_without_field_of_view", False)])
def test_depth_pro_gives_depth_for_its_inverse_depth(
    checkpoint: Folder, photos: list[Photo], name: str, sees_field: bool
) -> None:
    _, outputs = raw_output(checkpoint(name), photos[0])
    inverse = outputs.predicted_depth[0].double().numpy()
    factor = 2 * np.tan(np.radians(outputs.field_of_view.item()) / 2) if sees_field else 1

    (found,) = load(checkpoint(name)).predict(photos[:1])

    assert not found.kind.larger_is_nearer
    assert found.values.shape == inverse.shape
    assert found.values[np.unravel_index(inverse.argmax(), inverse.shape)] == found.values.min()
    np.testing.assert_allclose(found.values, 1 / (inverse * factor), rtol=1e-4)


@pytest.mark.parametrize("index", [0, 1])
def test_zoedepth_loses_its_padding(checkpoint: Folder, photos: list[Photo], index: int) -> None:
    photo = photos[index]
    height, width = photo.size
    processor, outputs = raw_output(checkpoint("zoedepth"), photo)
    (full,) = processor.post_process_depth_estimation(outputs, source_sizes=[photo.size])
    full = full["predicted_depth"].numpy()

    (found,) = load(checkpoint("zoedepth")).predict([photo])

    corners = [(0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1)]
    np.testing.assert_allclose(found.read_at(corners, photo.size), [full[at] for at in corners], atol=1e-5)
    points = np.argwhere(np.ones(photo.size, bool))
    difference = found.read_at(points, photo.size) - full.ravel()
    padded = DepthMap(outputs.predicted_depth[0].numpy(), found.kind).read_at(points, photo.size) - full.ravel()
    assert np.abs(difference).mean() < 0.02 * np.ptp(full)
    assert np.abs(difference).mean() < 0.2 * np.abs(padded).mean()


def test_zoedepth_chooses_its_head_for_each_photo(own_checkpoint: Folder, photos: list[Photo]) -> None:
    """With two metric heads, transformers lets the photos of a batch vote together which one all of them use."""
    folder = own_checkpoint("zoedepth_two_heads")
    pair = [photos[0], photos[2]]
    votes = [raw_output(folder, photo)[1].domain_logits[0] for photo in pair]
    middle = (votes[0] + votes[1]) / 2
    name = "metric_head.mlp_classifier.linear2.bias"
    change_weights(folder, lambda weights: weights[name].sub_(middle - middle.mean()))
    heads = [int(raw_output(folder, photo)[1].domain_logits[0].argmax()) for photo in pair]
    assert sorted(heads) == [0, 1]

    model = load(folder)
    for found, photo in zip(model.predict(pair), pair, strict=True):
        assert np.array_equal(found.values, model.predict([photo])[0].values)


def test_zero_padding_is_cut_off(checkpoint: Folder, photos: list[Photo]) -> None:
    """CHMv2's processor centres a photo of 61 x 90 in 64 x 96 pixels."""
    photo, folder = photos[0], checkpoint("chmv2")
    _, outputs = raw_output(folder, photo)
    padded = torch.nn.functional.interpolate(outputs.predicted_depth[None], (64, 96), mode="bicubic")[0, 0]
    full = padded[1:62, 3:93].numpy()

    (found,) = load(folder, kind="metric_depth").predict([photo])

    corners = [(0, 0), (0, 89), (60, 0), (60, 89)]
    np.testing.assert_allclose(found.read_at(corners, photo.size), [full[at] for at in corners], rtol=1e-5)


def test_the_record_says_what_was_loaded(checkpoint: Folder) -> None:
    folder = checkpoint("dpt_beit")
    network = transformers.AutoModelForDepthEstimation.from_pretrained(folder)
    record = load(folder, kind="affine_disparity").record
    assert (record.name, record.spec, record.revision) == ("dpt_beit", f"hf:{folder}", None)
    assert record.weights_digest == sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert record.parameters == sum(p.numel() for p in network.parameters())
    assert record.preprocessing.startswith("the checkpoint's DPTImageProcessor")
    assert "480 x 640 becomes 64 x 96" in record.preprocessing


def test_shards_are_digested_by_name_and_content(own_checkpoint: Folder, photos: list[Photo]) -> None:
    folder = own_checkpoint("dpt")
    whole = load(folder, kind="metric_depth").predict(photos[:1])[0]
    network = transformers.AutoModelForDepthEstimation.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    network.save_pretrained(folder, max_shard_size="100kB")
    shards = sorted(folder.glob("model-*.safetensors"))
    lines = [f"{shard.name} {sha256(shard.read_bytes()).hexdigest()}\n" for shard in shards]
    assert len(shards) > 1

    model = load(folder, kind="metric_depth")

    assert model.record.weights_digest == sha256("".join(lines).encode()).hexdigest()
    assert np.array_equal(model.predict(photos[:1])[0].values, whole.values)
    shards[0].unlink()
    assert "cannot be loaded" in refused(folder, kind="metric_depth")
    change_json(folder / "model.safetensors.index.json", weight_map={"a": "../dpt/x.safetensors"})
    assert "of the same folder" in refused(folder, kind="metric_depth")


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("depth_anything_v2", "head.conv3.weight"),
        ("dpt", "neck.fusion_stage.layers.0.residual_layer2.convolution1.weight"),
        ("dpt", "neck.fusion_stage.layers.1.residual_layer1.convolution1.weight"),
        ("zoedepth", "neck.fusion_stage.layers.3.projection.bias"),
    ],
)
def test_missing_and_misfitting_weights_are_refused(own_checkpoint: Folder, name: str, weight: str) -> None:
    folder, options = own_checkpoint(name), {"kind": "metric_depth"}
    change_weights(folder, lambda weights: weights.update({weight: torch.zeros(2, 3)}))
    assert weight in (message := refused(folder, **options))
    assert "another shape" in message
    change_weights(folder, lambda weights: weights.pop(weight))
    assert f"1 weights are missing ({weight})" in refused(folder, **options)


@pytest.mark.parametrize("name", [*TOLD, *SILENT])
def test_weights_that_fit_nowhere_are_refused(own_checkpoint: Folder, name: str) -> None:
    folder = own_checkpoint(name)
    more = {"head.stray.weight": torch.zeros(2), "stray": torch.zeros(1)}
    change_weights(folder, lambda weights: weights.update(more))
    assert "2 weights fit nowhere (head.stray.weight, stray)" in refused(folder, kind="metric_depth")


def test_a_configuration_of_fewer_blocks_than_there_are_weights_of_is_refused(own_checkpoint: Folder) -> None:
    """Nothing is missing then, and the map of half the network looks like any other."""
    folder = own_checkpoint("depth_anything_v2")
    described = json.loads((folder / "config.json").read_text())["backbone_config"]
    described |= {"num_hidden_layers": 4, "out_indices": [1, 2, 3, 4]}
    for named in ("stage_names", "out_features", "_out_features", "_out_indices"):
        described.pop(named, None)
    change_json(folder / "config.json", backbone_config=described)
    message = refused(folder)
    assert "weights fit nowhere (backbone.encoder.layer.4." in message
    assert "they are another network's than the configuration's" in message


def test_indices_and_counters_of_older_releases_may_be_there(own_checkpoint: Folder, photos: list[Photo]) -> None:
    """The hub's BEiT checkpoints have them."""
    folder = own_checkpoint("dpt_beit")
    before = load_any("dpt_beit", folder).predict(photos[:1])[0]
    layer = "backbone.encoder.layer.0.attention.attention.relative_position_bias.relative_position_index"
    old = {layer: torch.arange(4), "backbone.embeddings.position_ids": torch.arange(4)}
    old |= {"neck.norm.num_batches_tracked": torch.zeros(()), "backbone.embeddings.mask_token": torch.zeros(1, 1, 24)}
    change_weights(folder, lambda weights: weights.update(old))
    assert np.array_equal(load_any("dpt_beit", folder).predict(photos[:1])[0].values, before.values)


@pytest.mark.parametrize(
    "name", ["depth_anything_v2", "prompt_depth_anything", "dpt", "dpt_beit", "zoedepth", "depth_pro"]
)
def test_weights_that_inference_never_reads_may_be_missing(
    own_checkpoint: Folder, photos: list[Photo], name: str
) -> None:
    """As in the hub's dpt-large."""
    folder = own_checkpoint(name)
    before = load_any(name, folder).predict(photos[:1])[0]
    unread = re.compile(r"fusion_stage\.(layers|intermediate)\.0\.residual_layer1|mask_token")
    dropped: list[str] = []

    def drop(weights: dict[str, Any]) -> None:
        dropped.extend(key for key in weights if unread.search(key))
        for key in dropped:
            del weights[key]

    change_weights(folder, drop)
    assert len(dropped) >= 4
    assert np.array_equal(load_any(name, folder).predict(photos[:1])[0].values, before.values)


def test_folders_without_a_depth_checkpoint_are_refused(own_checkpoint: Folder, tmp_path: Path) -> None:
    folder = own_checkpoint("glpn")
    for target in (tmp_path / "nowhere", "./nowhere", "nowhere", "a/b/c", ""):
        message = refused(target)
        assert "there is no folder" in message
        assert "Repo id" not in message
    assert "belongs to hub ids" in refused(folder, revision="main")
    (folder / "preprocessor_config.json").rename(folder / "kept.json")
    assert "preprocessor_config.json is missing or cannot be used" in refused(folder)
    (folder / "kept.json").rename(folder / "preprocessor_config.json")
    change_json(folder / "config.json", max_depth="20")
    assert "max_depth" in refused(folder)
    change_json(folder / "config.json", model_type="bert", max_depth=10)
    assert "'bert' is not a depth family" in refused(folder)
    (folder / "config.json").write_text("{")
    assert "cannot be read as JSON" in refused(folder)
    (folder / "config.json").unlink()
    assert "has no config.json" in refused(folder)


def test_broken_weights_and_wrong_options_are_refused(own_checkpoint: Folder) -> None:
    folder = own_checkpoint("glpn")
    assert "are for Depth Anything, not glpn" in refused(folder, input_size="518")
    assert 'unknown option "inputsize"; did you mean "input_size"?' in refused(folder, inputsize="518")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert "cannot be loaded" in refused(folder)
    weights.unlink()
    assert "neither model.safetensors nor pytorch_model.bin" in refused(folder)


class Canary:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_pickled_weights_load_but_never_run(own_checkpoint: Folder, photos: list[Photo], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder, canary = own_checkpoint("glpn"), tmp_path / "canary"
    before = load(folder).predict(photos[:1])[0]
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    assert np.array_equal(load(folder).predict(photos[:1])[0].values, before.values)

    torch.save({**weights, "extra": Canary(canary)}, folder / "pytorch_model.bin")
    assert "pickled code is never run" in refused(folder)
    assert not canary.exists()
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert canary.exists(), "the canary has to be one that sings"


@pytest.mark.parametrize("described", ["config.json", "preprocessor_config.json"])
def test_code_in_a_checkpoint_never_runs(own_checkpoint: Folder, tmp_path: Path, described: str) -> None:
    folder, canary = own_checkpoint("glpn"), tmp_path / "canary"
    (folder / "evil.py").write_text(f"from pathlib import Path\nPath({str(canary)!r}).touch()\n")
    classes = ("AutoConfig", "AutoModelForDepthEstimation", "AutoImageProcessor")
    change_json(folder / described, auto_map=dict.fromkeys(classes, "evil.Evil"))
    load(folder)
    change_json(folder / described, model_type="evil", image_processor_type="Evil")
    assert refused(folder)
    assert not canary.exists()


def test_devices() -> None:
    assert str(choose_device("cpu")) == "cpu"
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", ""):
        with pytest.raises(BadModel, match="is not one of auto, cpu, cuda"):
            choose_device(name)
    with pytest.raises(BadModel, match=r'device "cuda:99": torch sees .*--device cpu'):
        choose_device("cuda:99")


def settings() -> tuple[str, str]:
    return torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision


def choose_settings(matmul: str, conv: str) -> None:
    torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision = matmul, conv


@pytest.mark.parametrize("chosen", [("ieee", "tf32"), ("tf32", "ieee"), ("tf32", "tf32")])
def test_inference_runs_in_full_precision_and_gives_settings_back(chosen: tuple[str, str]) -> None:
    def interrupted() -> None:
        with inference():
            assert settings() == ("ieee", "ieee")
            assert not (torch.ones(1, requires_grad=True) * 2).requires_grad
            raise KeyError

    before = settings()
    choose_settings(*chosen)
    try:
        with pytest.raises(KeyError):
            interrupted()
        assert settings() == chosen
        assert torch.is_grad_enabled()
    finally:
        choose_settings(*before)


def test_memory_that_the_machine_does_not_have_is_told_from_other_errors() -> None:
    """torch tells it with a RuntimeError; more than an address space can hold is never given."""
    with pytest.raises(MemoryError, match="you tried to allocate"), inference():
        torch.empty(2**50)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), inference():
        torch.ones(2, 3) @ torch.ones(2, 3)


def test_importing_the_adapters_imports_no_heavy_package() -> None:
    modules = "hf, depth_anything, processors, checkpoints, hub, devices"
    heavy = "{'torch', 'transformers', 'torchvision', 'huggingface_hub', 'safetensors', 'scipy'}"
    code = f"import sys; from da2k.models import {modules}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
