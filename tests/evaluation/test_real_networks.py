"""Three real networks on real photographs, against a straightforward computation written only here."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import da2k

NETWORKS = {
    "fast_depth_224": {"kind": "metric_depth"},
    "mobile_pydnet_kitti_pruned35_192x640": {"kind": "affine_disparity", "output_scale": "-1"},
    "pydnetpp_matterport_q8_448x640": {"kind": "scale_invariant_depth"},
}


def options(name):
    return [word for key, value in NETWORKS[name].items() for word in ("--model-option", f"{key}={value}")]


def evaluate(*words):
    done = subprocess.run([sys.executable, "-m", "da2k", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def results(shared, tmp_path_factory):
    """Each network scored by the command, as a user would."""
    pytest.importorskip("ai_edge_litert")
    folder = tmp_path_factory.mktemp("results")
    for name in NETWORKS:
        model = f"tflite:{shared / 'data/weights' / name}.tflite"
        evaluate(
            "evaluate",
            model,
            "--benchmark",
            shared / "data/mini-da2k",
            "--out",
            folder / f"{name}.json",
            *options(name),
        )
    return folder


def straightforward_counts(shared, name):
    """Resize the photo, run the network, resize the map to the photo's size, read the two pixels."""
    from ai_edge_litert.interpreter import Interpreter
    from torch import from_numpy
    from torch.nn.functional import interpolate

    network = Interpreter(str(shared / f"data/weights/{name}.tflite"))
    network.allocate_tensors()
    (fed,), out = network.get_input_details(), network.get_output_details()[0]
    channels_first = fed["shape"][1] == 3
    height, width = fed["shape"][2:] if channels_first else fed["shape"][1:3]
    counts = {}
    root = shared / "data/mini-da2k"
    for image, pairs in json.loads((root / "annotations.json").read_text()).items():
        photo = Image.open(root / image).convert("RGB")
        pixels = np.asarray(photo.resize((int(width), int(height)), Image.Resampling.BILINEAR))
        tensor = pixels if fed["dtype"] == np.uint8 else (pixels / np.float32(255)).astype(np.float32)
        network.set_tensor(fed["index"], (tensor.transpose(2, 0, 1) if channels_first else tensor)[None])
        network.invoke()
        small = network.get_tensor(out["index"]).squeeze().astype(np.float64)
        whole = interpolate(
            from_numpy(small)[None, None], size=(photo.height, photo.width), mode="bilinear", align_corners=True
        )[0, 0].numpy()
        count = counts.setdefault(image.split("/")[1], {"correct": 0, "wrong": 0, "tied": 0})
        for pair in pairs:
            closer, farther = (pair["point1"], pair["point2"])
            if pair["closer_point"] == "point2":
                closer, farther = farther, closer
            # In all three networks' raw output, smaller is nearer.
            near, far = whole[tuple(closer)], whole[tuple(farther)]
            count["correct" if near < far else "tied" if near == far else "wrong"] += 1
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_count_equals_the_straightforward_computation(shared, results, name):
    result = da2k.read_result(results / f"{name}.json")
    found = {
        scenario: {outcome: getattr(counts, outcome) for outcome in ("correct", "wrong", "tied")}
        for scenario, counts in result.scenarios.items()
    }
    assert found == straightforward_counts(shared, name)
    assert result.counts.total == 103
    assert result.benchmark.images == 27


@pytest.mark.slow
def test_a_network_scores_the_same_from_the_folder_it_predicted(shared, results, tmp_path):
    name = "mobile_pydnet_kitti_pruned35_192x640"
    model, photos = f"tflite:{shared / 'data/weights' / name}.tflite", shared / "data/mini-da2k"
    evaluate("predict", model, photos, "--out", tmp_path / "maps", *options(name))
    evaluate("evaluate", f"predictions:{tmp_path / 'maps'}", "--benchmark", photos, "--out", tmp_path / "stored.json")
    stored, direct = da2k.read_result(tmp_path / "stored.json"), da2k.read_result(results / f"{name}.json")
    assert stored.counts == direct.counts
    assert stored.scenarios == direct.scenarios
    assert stored.rows.sha256 == direct.rows.sha256


@pytest.mark.slow
def test_compare_prints_the_paired_table_of_two_networks(results):
    names = list(NETWORKS)[:2]
    text = evaluate("compare", *(results / f"{name}.json" for name in names))
    assert f"A = {names[0]}" in text
    overall = next(line for line in text.splitlines() if line.strip().startswith("overall")).split()
    one, two = (da2k.read_result(results / f"{name}.json") for name in names)
    assert overall[1:4] == ["103", f"{100 * one.accuracy.micro:.2f}", f"{100 * two.accuracy.micro:.2f}"]
