"""The records of measured depth: what they fix, what they refuse, and that no known trap fits into one."""

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import ValidationError

from da2k.depth import DepthKind
from da2k.errors import BadInput
from da2k.protocols import DenseProtocol, dense_protocol, protocol, protocol_names
from da2k.protocols.dense import Anchor, DatasetRules, Reader
from da2k.protocols.described import AXES, READERS, STATUS, common_axes, dataset_axes, kinds_taken

DENSE = [name for name in protocol_names() if isinstance(protocol(name), DenseProtocol)]
SETS = [(name, dataset) for name in DENSE for dataset in dense_protocol(name).datasets]
LISTS = Path(__file__).resolve().parents[2] / "data_manifest.yaml"

FRAMES = {
    "kitti": 652,
    "nyu": 654,
    "sintel": 1064,
    "eth3d": 454,
    "diode": 771,
    "diode-indoor": 325,
    "diode-outdoor": 446,
}
"""What the datasets' test sets count, as the public lists and papers say; not from the records."""


def fields_of(name):
    """A record as plain fields that may be changed."""
    return json.loads(dense_protocol(name).model_dump_json())


def changed(name, place, value):
    """A record with one field replaced; `place` is a path with dots."""
    fields = fields_of(name)
    *above, last = place.split(".")
    here = fields
    for key in above:
        here = here[key]
    assert last in here
    here[last] = value
    return fields


@pytest.mark.parametrize(("name", "dataset"), SETS)
def test_the_frames_are_those_of_the_public_test_sets(name, dataset):
    rules = dense_protocol(name).datasets[dataset]
    expected = 161 if (name, dataset) == ("midas", "kitti") else FRAMES[dataset]
    assert rules.frames == expected


def test_the_lists_have_as_many_rows(shared):
    lists = shared / "data" / "splits"
    rules = {dataset: dense_protocol(name).datasets[dataset] for name, dataset in reversed(SETS) if name != "midas"}
    rows = {dataset: (lists / its.list).read_text().splitlines() for dataset, its in rules.items()}
    rows["kitti"] = [row for row in rows["kitti"] if row.split()[1] != "None"]
    rows["diode-indoor"] = [row for row in rows["diode-indoor"] if row.startswith("indoors/")]
    rows["diode-outdoor"] = [row for row in rows["diode-outdoor"] if row.startswith("outdoor/")]
    assert {dataset: len(found) for dataset, found in rows.items()} == FRAMES


@pytest.mark.parametrize(("name", "dataset"), [found for found in SETS if found != ("midas", "kitti")])
def test_each_list_is_in_the_data_manifest_for_this_reader(name, dataset):
    rules = dense_protocol(name).datasets[dataset]
    entries = {entry["id"]: entry for entry in yaml.safe_load(LISTS.read_text(encoding="utf-8"))["datasets"]}
    readers = {found["name"]: found["readers"] for found in entries[dataset.partition("-")[0]]["lists"]}
    assert rules.reader in readers[rules.list]


@pytest.mark.parametrize(("name", "dataset"), SETS)
def test_every_choice_says_where_it_comes_from(name, dataset):
    rules = dense_protocol(name).datasets[dataset]
    choices = DatasetRules.model_fields.keys() - {"status", "note", "evidence"}
    if rules.fit_side is None:
        choices -= {"fit_side"}
    assert rules.evidence.keys() == choices
    assert all(rules.evidence.values())


TAKES = {
    "dav2-table2": "metric_depth scale_invariant_depth affine_disparity",
    "dav2-table2-disparity": "metric_depth scale_invariant_depth affine_disparity",
    "midas": "metric_depth scale_invariant_depth affine_disparity",
    "marigold": "metric_depth scale_invariant_depth affine_depth",
    "marigold-disparity": "metric_depth scale_invariant_depth affine_disparity",
    "metric": "metric_depth",
    "metric-single": "metric_depth",
    "metric-median": "metric_depth scale_invariant_depth",
}


@pytest.mark.parametrize("kind", DepthKind)
@pytest.mark.parametrize("name", DENSE)
def test_a_kind_of_map_that_cannot_be_aligned_so_is_refused(name, kind):
    record = dense_protocol(name)
    if kind in TAKES[name].split():
        record.require(kind)
        assert kind in kinds_taken(record)
    else:
        with pytest.raises(BadInput, match=f"protocol {name} align.*{kind} does not"):
            record.require(kind)
        assert kind not in kinds_taken(record)


def test_the_list_that_was_never_published_cannot_be_run():
    with pytest.raises(BadInput, match=r"midas cannot be run on kitti: its 161 images .* never published"):
        dense_protocol("midas").rules("kitti")


def test_a_dataset_that_is_not_named_is_refused():
    with pytest.raises(BadInput, match="protocol dav2-table2 says nothing on diode; it names kitti, nyu, diode-indoor"):
        dense_protocol("dav2-table2").rules("diode")


def test_h1_differs_from_table_2_in_the_space_of_the_metrics_alone():
    a, b = fields_of("dav2-table2"), fields_of("dav2-table2-disparity")
    for fields in (a, b):
        for prose in ("name", "title", "anchors", "unknown", "source"):
            del fields[prose]
        for rules in fields["datasets"].values():
            for prose in ("status", "note", "evidence"):
                del rules[prose]
            del rules["clamp"]
        del fields["alignment"]["floor"]
    assert (a.pop("metrics_in"), b.pop("metrics_in")) == ("depth", "disparity")
    assert (a.pop("metrics"), b.pop("metrics")) == (["absrel@depth", "delta1"], ["absrel@disparity", "delta1"])
    assert a == b


@pytest.mark.parametrize("name", ["marigold", "marigold-disparity"])
def test_a_part_of_diode_is_scored_by_the_rule_of_the_whole(name):
    sets = fields_of(name)["datasets"]
    for part in ("diode-indoor", "diode-outdoor"):
        differing = {key for key in sets["diode"] if sets[part][key] != sets["diode"][key]}
        assert differing - {"status", "note", "evidence"} == {"frames"}
        assert sets[part]["status"] == "unanchored"
        assert "part" in sets[part]["note"]
    assert sets["diode-indoor"]["frames"] + sets["diode-outdoor"]["frames"] == sets["diode"]["frames"]


def test_the_mirrored_pass_is_the_only_difference_of_metric_single():
    a, b = fields_of("metric"), fields_of("metric-single")
    differing = {key for key in a if a[key] != b[key]}
    assert differing - {"name", "title", "anchors", "unknown", "source", "datasets"} == {"tta"}
    assert (a["tta"], b["tta"]) == ("flip", "none")


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("dav2-table2", "alignment.floor", None, "alignment.floor: an aligned disparity can be 0 or less"),
        ("midas", "alignment.floor", None, "alignment.floor: an aligned disparity can be 0 or less"),
        ("marigold-disparity", "alignment.floor", None, "alignment.floor: an aligned disparity can be 0 or less"),
        ("marigold-disparity", "alignment.floor", 0.0, "greater than 0"),
        ("marigold", "alignment.floor", 0.001, "floor: is for disparities"),
        ("dav2-table2-disparity", "alignment.floor", "1/max truth", "is never applied"),
        ("dav2-table2-disparity", "datasets.nyu.clamp.high", 10.0, r"datasets\.nyu\.clamp: is never applied"),
        ("dav2-table2", "datasets.nyu.clamp.high", None, r"datasets\.nyu\.clamp\.high: the floor is 1/cap"),
        ("dav2-table2", "datasets.sintel.range.high", None, "Sintel's sky"),
        ("midas", "datasets.sintel.range.high", None, "Sintel's sky"),
        ("dav2-table2", "datasets.nyu.range.low", 10.0, "is not above low"),
        ("dav2-table2", "datasets.nyu.range.low", -1.0, "greater than or equal to 0"),
        ("dav2-table2", "datasets.eth3d.range.high", float("inf"), "finite"),
        ("marigold", "datasets.diode.clamp.low", 350.0, "is not above low"),
        ("marigold", "metrics_in", "disparity", "is not taken in disparity"),
        ("dav2-table2", "metrics_in", "disparity", "absrel@depth is not taken in disparity"),
        ("dav2-table2", "metrics", ["absrel"], 'unknown metric "absrel"; did you mean'),
        ("dav2-table2", "metrics", ["silog"], 'unknown metric "silog"'),
        ("dav2-table2", "metrics", ["delta1", "delta1"], "one is named twice"),
        ("dav2-table2", "metrics", [], "at least 1"),
        ("dav2-table2", "alignment.solver", "median", "a median is matched in depth"),
        ("dav2-table2", "alignment.solver", "none", "none together"),
        ("metric", "alignment.space", "depth", "none together"),
        ("dav2-table2", "datasets.kitti.metric_crop", "nyu-eigen", "box of pixels of a 480 x 640 frame"),
        ("dav2-table2", "datasets.kitti.metric_crop", "center", "Input should be"),
        ("marigold", "datasets.nyu.input_crop", "kb", "is a box of KITTI's frames"),
        ("metric", "datasets.kitti.clamp.low", None, r"kitti\.clamp\.low: rmse_log_e of a depth of 0 is not defined"),
        ("marigold-disparity", "alignment.floor", 5.0, "no depth is left between"),
        ("dav2-table2", "datasets.kitti.reader", "kitti-raw", "Input should be"),
        ("dav2-table2", "datasets.eth3d.reader", "diode", r"eth3d\.reader: diode is for another dataset"),
        ("dav2-table2", "datasets.kitti.frames", 0, "greater than 0"),
        ("dav2-table2", "datasets.kitti.frames", "652", "valid integer"),
        ("dav2-table2", "datasets.kitti.align_corners", 1, "valid boolean"),
        ("dav2-table2", "datasets.kitti.evidence", {"cap": "x"}, "cap is no choice"),
        ("dav2-table2", "datasets.sintel.status", "match", "is match where an anchor is"),
        ("dav2-table2", "datasets.kitti.status", "unreproduced", "is match where an anchor is"),
        ("dav2-table2", "datasets.sintel.status", "unanchored", "is not unanchored"),
        ("midas", "datasets.kitti.note", None, "has to say why it is unavailable"),
        ("marigold", "datasets.eth3d.fit_side", 8, "greater than or equal to 16"),
        ("dav2-table2", "version", 0, "greater than or equal to 1"),
        ("dav2-table2", "rounding", "3 decimals", "Input should be"),
        ("dav2-table2", "datasets", {}, "at least 1"),
    ],
)
def test_a_choice_that_makes_no_number_is_refused(name, place, value, message):
    with pytest.raises(ValidationError, match=message):
        DenseProtocol.model_validate(changed(name, place, value))


def test_a_field_left_out_is_refused_and_one_too_many_too():
    fields = fields_of("midas")
    for place in (fields, fields["datasets"]["nyu"], fields["datasets"]["nyu"]["range"]):
        place["surplus"] = 1
        with pytest.raises(ValidationError, match="Extra inputs"):
            DenseProtocol.model_validate(fields)
        del place["surplus"]
    for key in ("tta", "metrics_in", "mean", "alignment"):
        with pytest.raises(ValidationError, match=f"{key}\n.*Field required"):
            DenseProtocol.model_validate({name: value for name, value in fields.items() if name != key})


ANCHOR = {"model": "m", "dataset": "nyu", "metric": "delta1", "value": 0.9, "tier": "target", "source": "s"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tier": "match"}, "a match, and only a match, has a tolerance"),
        ({"tier": "match", "tolerance": 0.005}, "a match says who reproduced it"),
        ({"tolerance": 0.005, "reproduced": "x"}, "a match, and only a match, has a tolerance"),
    ],
)
def test_a_match_says_who_and_how_near(fields, message):
    assert Anchor.model_validate(ANCHOR)
    with pytest.raises(ValidationError, match=message):
        Anchor.model_validate({**ANCHOR, **fields})


@pytest.mark.parametrize("name", DENSE)
def test_an_anchor_of_what_is_not_measured_is_refused(name):
    fields = fields_of(name)
    for wrong in ({"dataset": "tum"}, {"metric": "sqrel@depth", "dataset": "eth3d"}):
        fields["anchors"] = [{**ANCHOR, **wrong}]
        with pytest.raises(ValidationError, match="is not measured here"):
            DenseProtocol.model_validate(fields)


@pytest.mark.parametrize("name", DENSE)
def test_who_reproduced_a_match_came_within_its_tolerance(name):
    for anchor in dense_protocol(name).anchors:
        if anchor.tier == "match":
            got = [float(number) for number in re.findall(r"(?:^|; )(\.\d+)", str(anchor.reproduced))]
            assert min(abs(number - anchor.value) for number in got) <= anchor.tolerance + 1e-9


def test_the_anchors_of_table_2_are_the_papers_numbers(shared):
    facts = json.loads((shared / "data" / "facts" / "paper_tables_2_3_5_14.json").read_text())
    networks = {
        "MiDaS V3.1 ViT-L": "midas-v3.1-beit-large-512",
        "DAv1 ViT-S": "depth-anything-small",
        "DAv1 ViT-B": "depth-anything-base",
        "DAv1 ViT-L": "depth-anything-large",
        "DAv2 ViT-S": "depth-anything-v2-small",
        "DAv2 ViT-B": "depth-anything-v2-base",
        "DAv2 ViT-L": "depth-anything-v2-large",
        "DAv2 ViT-G": "depth-anything-v2-giant",
    }
    datasets = {"KITTI": "kitti", "NYU-D": "nyu", "Sintel": "sintel", "ETH3D": "eth3d", "DIODE": "diode-indoor"}
    for name, absrel in (("dav2-table2", "absrel@depth"), ("dav2-table2-disparity", "absrel@disparity")):
        found = {(a.model, a.dataset, a.metric): a.value for a in dense_protocol(name).anchors}
        expected = {}
        for network, values in facts["table2"].items():
            for column, value in zip(facts["table2_columns"], values, strict=True):
                dataset, metric = column.split()
                key = (networks[network], datasets[dataset], absrel if metric == "AbsRel" else "delta1")
                expected[key] = value
        assert found == expected


def test_nobody_met_table_2_on_sintel_and_eth3d():
    record = dense_protocol("dav2-table2")
    assert {name for name, rules in record.datasets.items() if rules.status == "unreproduced"} == {"sintel", "eth3d"}
    assert {anchor.dataset for anchor in record.anchors if anchor.tier == "match"} == {"kitti", "nyu", "diode-indoor"}
    assert {anchor.tier for anchor in dense_protocol("dav2-table2-disparity").anchors} == {"target"}


def places(fields, above=""):
    for key, value in fields.items():
        if isinstance(value, dict) and key != "evidence":
            yield from places(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


PROSE = {"title", "model_input", "anchors", "unknown", "source", "status", "note", "evidence"}
OTHER = {
    "name": "other",
    "version": 7,
    "support": "valid pixels with a positive prediction",
    "floor": 0.5,
    "metrics": ["delta1"],
    "tta": "flip",
    "reader": None,
    "frames": 7,
    "list": "other.txt",
    "input_crop": "kb",
    "metric_crop": "eigen",
    "low": 0.5,
    "high": 60.0,
    "fit_side": 512,
    "align_corners": False,
}


def test_any_choice_changes_the_digest_and_no_prose_does():
    digest = dense_protocol("dav2-table2").digest
    seen = set()
    for place in places(fields_of("dav2-table2")):
        last = place.rpartition(".")[2]
        if last in PROSE:
            value = {"status": "unavailable", "anchors": [], "unknown": [], "evidence": {}}.get(last, "other words")
            fields = changed("dav2-table2", place, value)
            if last == "anchors":
                for rules in fields["datasets"].values():
                    rules["status"] = "unanchored"
            if last == "status":
                fields["anchors"] = []
                for dataset, rules in fields["datasets"].items():
                    rules["status"] = "unavailable" if place.split(".")[1] == dataset else "unanchored"
                    rules["note"] = "why"
            assert DenseProtocol.model_validate(fields).digest == digest, place
        elif OTHER.get(last) is not None and (last != "input_crop" or "kitti" in place):
            fields = changed("dav2-table2", place, OTHER[last])
            fields["anchors"] = []
            for rules in fields["datasets"].values():
                rules["status"] = "unanchored"
            assert DenseProtocol.model_validate(fields).digest != digest, place
            seen.add(last)
    assert seen == {key for key, value in OTHER.items() if value is not None}


@pytest.mark.parametrize("name", DENSE)
def test_the_order_of_fields_does_not_change_the_digest(name):
    fields = fields_of(name)

    def turned(value):
        return {key: turned(value[key]) for key in reversed(value)} if isinstance(value, dict) else deepcopy(value)

    assert DenseProtocol.model_validate(turned(fields)).digest == dense_protocol(name).digest


@pytest.mark.parametrize(("name", "dataset"), SETS)
def test_a_description_has_all_fifteen_axes(name, dataset):
    record = dense_protocol(name)
    axes = common_axes(record) + dataset_axes(record, dataset)
    assert {axis.number for axis in axes} == set(range(1, 16))
    assert len(AXES) == 15
    assert all(axis.text and "None" not in axis.text for axis in axes)


def test_every_reader_and_status_is_described():
    assert READERS.keys() == set(get_args(Reader))
    assert STATUS.keys() == set(get_args(DatasetRules.model_fields["status"].annotation))


def test_a_description_gives_the_limits_as_they_are_applied():
    def limits(name, dataset):
        return next(axis.text for axis in dataset_axes(dense_protocol(name), dataset) if axis.number == 11)

    assert "at least 1/80 per metre" in limits("dav2-table2", "kitti")
    assert "depth at most 72 m" in limits("midas", "sintel")
    assert limits("dav2-table2-disparity", "kitti").startswith("none")
    assert "at least 0.001 per metre, depth at least 0.6 m, depth at most 350 m" in limits(
        "marigold-disparity", "diode"
    )
    assert limits("metric", "nyu") == "after alignment: depth at least 0.001 m, depth at most 10 m"
