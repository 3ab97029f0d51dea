"""Depth Anything's own `.pth` files become the same network as the hub's folders."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

from da2k.errors import BadModel
from da2k.images import Photo
from da2k.models.registry import load_model

torch = pytest.importorskip("torch")


as_original = run_path(str(Path(__file__).with_name("tiny_pth.py")))["as_original"]


@pytest.fixture
def pth(checkpoint: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """Writes the tiny hub checkpoint of this name as a `.pth`, changed by `edit`."""

    def write(name: str, edit: Callable[[dict], object] = lambda weights: None) -> Path:
        from safetensors.torch import load_file

        weights = as_original(load_file(checkpoint(name) / "model.safetensors"))
        edit(weights)
        torch.save(weights, tmp_path / f"{name}.pth")
        return tmp_path / f"{name}.pth"

    return write


def options(folder: Path, version: str) -> dict[str, str]:
    from transformers import AutoConfig

    return {"version": version, "heads": str(AutoConfig.from_pretrained(folder).backbone_config.num_attention_heads)}


@pytest.mark.parametrize(
    ("name", "version", "metres"), [("depth_anything_v1", "1", {}), ("depth_anything_metric", "2", {"max_depth": "20"})]
)
def test_a_file_gives_the_maps_of_the_folder_it_equals(checkpoint, pth, name: str, version: str, metres: dict) -> None:
    photo = Photo.from_array(np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8))
    small = {"input_size": "56"}
    folder = load_model(f"hf:{checkpoint(name)}", {"version": version, **small}, "cpu")
    file = load_model(f"hf:{pth(name)}", {**options(checkpoint(name), version), **small, **metres}, "cpu")
    assert np.array_equal(folder.predict([photo])[0].values, file.predict([photo])[0].values)
    assert file.record.parameters == folder.record.parameters
    assert file.record.name == name


def test_the_authors_file_gives_the_maps_of_the_hub_folder(shared: Path) -> None:
    reference = shared / "reference" / "depth_anything_v2"
    photo = Photo.open(reference / "input_320x240.png")
    file = load_model(f"hf:{reference / 'original_state_dict.pth'}", {"version": "2", "heads": "3"}, "cpu")
    folder = load_model(f"hf:{reference / 'hf'}", device="cpu")
    (one,), (two,) = file.predict([photo]), folder.predict([photo])
    assert np.array_equal(one.values, two.values)


def test_a_zoo_name_takes_the_authors_file(shared: Path) -> None:
    path = shared / "reference" / "depth_anything_v2" / "original_state_dict.pth"
    model = load_model("depth-anything-v2-small", {"path": str(path), "heads": "3"}, "cpu")
    assert model.record.name == "depth-anything-v2-small"


def test_what_a_file_holds_is_disparity_unless_a_depth_in_metres_is_given(checkpoint, pth) -> None:
    name = "depth_anything_metric"
    file, given = pth(name), options(checkpoint(name), "2")
    assert load_model(f"hf:{file}", given, "cpu").record.kind == "affine_disparity"
    assert load_model(f"hf:{file}", {**given, "max_depth": "20"}, "cpu").record.kind == "metric_depth"


FAULTS = {
    "a weight is missing": (lambda w: w.pop("pretrained.blocks.0.mlp.fc1.bias"), "1 weights are missing"),
    "a weight is foreign": (lambda w: w.update({"stranger.weight": torch.zeros(1)}), "stranger.weight"),
    "a shape does not fit": (
        lambda w: w.update({"pretrained.norm.weight": torch.zeros(7)}),
        "have another shape",
    ),
    "no backbone": (lambda w: [w.pop(n) for n in list(w) if n.startswith("pretrained.")], "no state dict of Depth"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_files_that_do_not_fit_are_refused_on_one_line(checkpoint, pth, fault: str) -> None:
    edit, message = FAULTS[fault]
    name = "depth_anything_metric"
    with pytest.raises(BadModel, match="hf:") as caught:
        load_model(f"hf:{pth(name, edit)}", options(checkpoint(name), "2"), "cpu")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.path,)


def test_a_malicious_pickle_is_not_run(tmp_path: Path) -> None:
    torch.save({"pretrained.cls_token": Canary(tmp_path / "canary")}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Canary(tmp_path / "canary")))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(BadModel, match=r"never run|cannot be read"):
            load_model(f"hf:{tmp_path / name}", {"version": "2"}, "cpu")
    assert not (tmp_path / "canary").exists()


def test_what_the_file_cannot_say_is_asked_for(pth, tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="version=1 or 2"):
        load_model(f"hf:{pth('depth_anything_metric')}", {}, "cpu")
    with pytest.raises(BadModel, match="no such file"):
        load_model(f"hf:{tmp_path / 'none.pth'}", {"version": "2"}, "cpu")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(BadModel, match="no state dict"):
        load_model(f"hf:{tmp_path / 'list.pth'}", {"version": "2"}, "cpu")
