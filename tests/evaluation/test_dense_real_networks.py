"""Three real networks on real frames, against figures published with the frames and a computation written only here."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from da2k.evaluation.dense import evaluate_dense
from da2k.models.registry import load_model
from da2k.results import read_any_result
from tests.datasets.native_formats import Sample
from tests.evaluation import dense_reference as reference
from tests.evaluation.dense_sets import DATASETS, leaning, make_frames, write_protocol

FASTDEPTH, PYDNET, PYDNETPP = (
    "fast_depth_224",
    "mobile_pydnet_kitti_pruned35_192x640",
    "pydnetpp_matterport_q8_448x640",
)
OPTIONS = {
    FASTDEPTH: {"kind": "metric_depth"},
    PYDNET: {"kind": "scale_invariant_depth", "output_scale": "-1", "output_inverse": "true"},
    PYDNETPP: {"kind": "scale_invariant_depth"},
}
PUBLISHED = {
    (FASTDEPTH, "kitti"): (0.3864, 0.3422),
    (FASTDEPTH, "nyu"): (0.0875, 0.9277),
    (PYDNET, "kitti"): (0.0825, 0.8809),
    (PYDNET, "nyu"): (0.3561, 0.4808),
    (PYDNETPP, "kitti"): (0.2565, 0.5111),
    (PYDNETPP, "nyu"): (0.3644, 0.3375),
}
"""AbsRel and δ1 with each image scaled by its median; the table beside the frames, computed by its maker."""

LOW, HIGH = 1e-3, {"kitti": 80.0, "nyu": 10.0}
BOXES = {"kitti": (slice(153, 371), slice(44, 1197)), "nyu": (slice(45, 471), slice(41, 601))}
"""Garg's box of a frame of 375 x 1242, and Eigen's of one of 480 x 640."""


def network(shared, name):
    return f"tflite:{shared / 'data/weights' / name}.tflite"


def stored(shared, dataset):
    """The frames: image, and depth as stored, by the number in their name."""
    root = shared / "data/depth" / dataset
    images, truths = sorted(root.glob("rgb_*")), sorted(root.glob("*depth_*.png"))
    assert len(images) == len(truths) == 2
    return [(*files, files[0].stem.split("_")[1]) for files in zip(images, truths, strict=True)]


@pytest.fixture(scope="module")
def listed(shared, tmp_path_factory):
    """The same files where each dataset has them, and a list of them."""
    folder = tmp_path_factory.mktemp("frames")
    for dataset in HIGH:
        lines = []
        for image, truth, number in stored(shared, dataset):
            if dataset == "kitti":
                names = (f"2011_09_26/d/image_02/data/{number}.png", f"d/proj_depth/groundtruth/image_02/{number}.png")
            else:
                names = (f"bathroom/rgb_{number}.jpg", f"bathroom/sync_depth_{number}.png")
            for name, file in zip(names, (image, truth), strict=True):
                (folder / dataset / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / dataset / name).symlink_to(file)
            lines.append(f"{names[0]} {names[1]} 700.0\n")
        (folder / f"{dataset}.txt").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def evaluations(shared, listed):
    """Each network on each set, under a protocol that scales by the median."""
    pytest.importorskip("ai_edge_litert")
    found = {}
    for name, options in OPTIONS.items():
        model = load_model(network(shared, name), options)
        for dataset in HIGH:
            found[name, dataset] = evaluate_dense(
                model, dataset, "metric-median", root=listed / dataset, own_list=listed / f"{dataset}.txt", workers=2
            )
    return found


@pytest.mark.parametrize(("name", "dataset"), PUBLISHED)
def test_the_figures_are_the_published_ones(evaluations, name, dataset):
    absrel, delta1 = PUBLISHED[name, dataset]
    done = evaluations[name, dataset]
    assert (done.result.images.scored, done.result.images.failed) == (2, 0)
    assert done.metrics["absrel@depth"] == pytest.approx(absrel, rel=0.1)
    assert done.metrics["delta1"] == pytest.approx(delta1, rel=0.1)


def depth_of(name, output):
    """What a network's output means, larger = farther."""
    if name == PYDNET:
        return 1 / -output
    return output


def recomputed(shared, name, dataset):
    """Resize the image, run the network, resize its depth, mask, scale by the median, limit, compare; in float64."""
    from ai_edge_litert.interpreter import Interpreter
    from torch import from_numpy
    from torch.nn.functional import interpolate

    interpreter = Interpreter(str(shared / f"data/weights/{name}.tflite"))
    interpreter.allocate_tensors()
    (fed,), out = interpreter.get_input_details(), interpreter.get_output_details()[0]
    channels_first = fed["shape"][1] == 3
    height, width = map(int, fed["shape"][2:] if channels_first else fed["shape"][1:3])
    found = []
    for image, truth, _ in stored(shared, dataset):
        pixels = np.asarray(Image.open(image).convert("RGB").resize((width, height), Image.Resampling.BILINEAR))
        tensor = pixels if fed["dtype"] == np.uint8 else (pixels / np.float32(255)).astype(np.float32)
        interpreter.set_tensor(fed["index"], (tensor.transpose(2, 0, 1) if channels_first else tensor)[None])
        interpreter.invoke()
        small = depth_of(name, interpreter.get_tensor(out["index"]).squeeze().astype(np.float64))
        # The nearest float32 to each depth: a share within a threshold may hang on the last bit of one pixel.
        steps = np.asarray(Image.open(truth)) / (256 if dataset == "kitti" else 1000)
        measured = steps.astype(np.float32).astype(np.float64)
        resized = interpolate(from_numpy(small)[None, None], measured.shape, mode="bilinear", align_corners=True)
        d, g = resized[0, 0].numpy()[BOXES[dataset]], measured[BOXES[dataset]]
        counted = (g > LOW) & (g < HIGH[dataset])
        d, g = d[counted], g[counted]
        d = np.clip(d * (np.median(g) / np.median(d)), LOW, HIGH[dataset])
        apart = np.log(d / g)
        ratio = np.maximum(d / g, g / d)
        found.append(
            {
                "absrel@depth": np.mean(np.abs(d - g) / g),
                "sqrel@depth": np.mean((d - g) ** 2 / g),
                "rmse@depth": np.mean((d - g) ** 2) ** 0.5,
                "rmse_log_e": np.mean(apart**2) ** 0.5,
                "mae_log_10": np.mean(np.abs(apart)) / np.log(10),
                "silog100": 100 * np.std(apart),
                "delta1": np.mean(ratio < 1.25),
                "delta2": np.mean(ratio < 1.25**2),
                "delta3": np.mean(ratio < 1.25**3),
            }
        )
    return {metric: np.mean([frame[metric] for frame in found]) for metric in found[0]}


@pytest.mark.parametrize(("name", "dataset"), PUBLISHED)
def test_every_figure_equals_the_plain_computation(shared, evaluations, name, dataset):
    expected = recomputed(shared, name, dataset)
    done = evaluations[name, dataset]
    assert set(done.metrics) == set(expected)
    for metric, value in expected.items():
        assert done.metrics[metric] == pytest.approx(value, rel=1e-6), metric


def test_the_command_gives_the_same(shared, listed, evaluations, tmp_path):
    words = ["evaluate", network(shared, PYDNET), "--benchmark", "kitti", "--protocol", "metric-median", "--workers", 2]
    words += ["--root", listed / "kitti", "--list", listed / "kitti.txt", "--out", tmp_path / "r.json"]
    words += [word for key, value in OPTIONS[PYDNET].items() for word in ("-o", f"{key}={value}")]
    done = subprocess.run([sys.executable, "-m", "da2k", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = read_any_result(tmp_path / "r.json")
    assert result.metrics == evaluations[PYDNET, "kitti"].result.metrics
    for metric, mean in result.metrics.items():
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"{metric} ")]
        assert line.split()[1] == f"{mean.mean:.4f}"


# The same frames in every other format

LIMITS = {
    dataset: {"range": {"low": LOW, "high": high}, "clamp": {"low": LOW, "high": high}}
    for dataset, high in HIGH.items()
}
EXACT = {
    "kitti": [reader for reader in DATASETS if reader != "nyu-bts"],
    "nyu": [reader for reader in DATASETS if reader != "kitti-annotated"],
}
"""The formats that hold a set's depth exactly: KITTI's steps are no whole millimetres, and NYU's no 1/256 m."""


def samples_of(shared, dataset):
    """The real frames, decoded without da2k."""
    samples = []
    for image, truth, number in stored(shared, dataset):
        values = np.asarray(Image.open(truth))
        depth = values.astype(np.float32) / np.float32(256 if dataset == "kitti" else 1000)
        samples.append(Sample(number, np.asarray(Image.open(image).convert("RGB")), depth, values > 0))
    return samples


@pytest.mark.parametrize(
    ("dataset", "reader"), [(dataset, reader) for dataset, readers in EXACT.items() for reader in readers]
)
def test_real_frames_in_another_format_give_the_same_numbers(shared, listed, tmp_path, dataset, reader):
    """Two protocols that differ in the format only: what the model sees and what was measured must be the same."""
    new = make_frames(
        tmp_path / "new", reader, samples=samples_of(shared, dataset), metric_crop="garg", **LIMITS[dataset]
    )
    done = run_on(new.dataset, new.protocol, new.root, new.list)
    original = tmp_path / "original.yaml"
    files = "kitti-annotated" if dataset == "kitti" else "nyu-bts"
    write_protocol(original, files, "list.txt", 2, metric_crop="garg", **LIMITS[dataset])
    expected = run_on(dataset, original, listed / dataset, listed / f"{dataset}.txt")
    assert (done.result.images.scored, expected.result.images.scored) == (2, 2)
    numbers = ["pixels", "scale", "shift", "clamped", "nonpositive", *new.record.metrics]
    np.testing.assert_allclose(done.rows[numbers].to_numpy(float), expected.rows[numbers].to_numpy(float), rtol=1e-7)
    rules = new.record.rules(new.dataset)
    for sample, row in zip(new.samples, done.rows.to_dict("records"), strict=True):
        plain, *_ = reference.score(
            leaning(sample.rgb), "scale_invariant_depth", sample.depth, sample.valid, new.record, rules
        )
        assert {name: row[name] for name in plain} == pytest.approx(plain, rel=1e-9)


def run_on(dataset, protocol, root, own_list, model=leaning, kind="scale_invariant_depth"):
    return evaluate_dense(model, dataset, str(protocol), root=root, own_list=own_list, kind=kind)


@pytest.mark.parametrize("reader", ["sintel-final", "eth3d", "diode", "nyu-mat"])
def test_a_network_scores_alike_whatever_the_format(shared, listed, tmp_path, reader):
    pytest.importorskip("ai_edge_litert")
    model = load_model(network(shared, FASTDEPTH), OPTIONS[FASTDEPTH])
    new = make_frames(tmp_path / "new", reader, samples=samples_of(shared, "nyu"), **LIMITS["nyu"])
    original = tmp_path / "original.yaml"
    write_protocol(original, "nyu-bts", "list.txt", 2, **LIMITS["nyu"])
    done = run_on(new.dataset, new.protocol, new.root, new.list, model, None)
    expected = run_on("nyu", original, listed / "nyu", listed / "nyu.txt", model, None)
    assert done.metrics == pytest.approx(expected.metrics, rel=1e-7)
    assert done.result.images.scored == 2
