"""`da2k protocols`, as people and scripts use it, and the page that is written from the records."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from da2k.cli import app
from da2k.depth import DepthKind
from da2k.protocols import DenseProtocol, protocol, protocol_names
from da2k.protocols.fields import field_table

ROOT = Path(__file__).resolve().parents[2]
DENSE = [name for name in protocol_names() if isinstance(protocol(name), DenseProtocol)]


def run(*words):
    result = CliRunner().invoke(app, ["protocols", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_list_names_every_protocol_and_marks_what_nobody_reproduced():
    lines = run("list").splitlines()
    rows = {line.split()[0]: line for line in lines if line}
    assert set(protocol_names()) <= rows.keys()
    assert " kitti nyu diode-indoor sintel* eth3d* " in rows["dav2-table2"]
    assert " kitti† " in rows["midas"]
    assert " kitti° nyu° " in rows["metric-median"]
    assert rows["dav2-table2"].split()[-3:] == ["M", "S", "D"]
    assert rows["marigold"].split()[-3:] == ["M", "S", "A"]
    assert " diode-outdoor° " in lines[lines.index(rows["marigold"]) + 1]
    assert any(line.startswith("takes: M metric_depth, S scale_invariant_depth, A affine_depth, D ") for line in lines)
    assert any(line.startswith("* nobody is known to have reproduced") for line in lines)


def test_list_fits_a_hundred_columns_and_leaves_out_no_benchmark():
    text = run("list")
    assert max(map(len, text.splitlines())) <= 100
    named = [word.rstrip("*†°") for word in text.split()]
    for name in DENSE:
        assert all(named.count(dataset) >= 1 for dataset in protocol(name).datasets)
    assert named.count("nyu") == sum("nyu" in protocol(name).datasets for name in DENSE)
    assert named.count("diode-outdoor") == sum("diode-outdoor" in protocol(name).datasets for name in DENSE)


def test_list_as_json():
    records = json.loads(run("list", "--json"))
    assert list(records) == protocol_names()
    assert records["marigold"]["digest"] == protocol("marigold").digest
    assert records["marigold"]["takes"] == "affine_depth"
    assert records["dav2-table2"]["datasets"]["eth3d"] == "unreproduced"
    assert records["da2k"]["task"] == "ordering"
    assert records["metric"]["aligns"] == "nothing"
    assert records["dav2-table2-disparity"]["metrics_in"] == "disparity"
    assert records["dav2-table2-disparity"]["metrics"] == ["absrel@disparity", "delta1"]
    assert records["metric-median"]["kinds"] == ["metric_depth", "scale_invariant_depth"]


@pytest.mark.parametrize("name", DENSE)
def test_show_prints_every_axis_of_every_dataset(name):
    record = protocol(name)
    body = run("show", name).partition("\nFor all")[2]
    common, *sets = re.split(rf"^(?=(?:{'|'.join(record.datasets)}): )", body, flags=re.MULTILINE)
    assert [part.partition(":")[0] for part in sets] == list(record.datasets)
    for part in sets:
        numbers = {int(number) for number in re.findall(r"^ {1,2}(\d{1,2})  \w", common + part, flags=re.MULTILINE)}
        assert numbers == set(range(1, 16))


@pytest.mark.parametrize("name", DENSE)
def test_show_prints_digest_evidence_anchors_and_unknowns(name):
    record = protocol(name)
    text = " ".join(run("show", name).split())
    assert record.digest in text
    for rules in record.datasets.values():
        assert all(" ".join(reason.split()) in text for reason in rules.evidence.values())
    assert all(" ".join(unknown.split()) in text for unknown in record.unknown)
    for anchor in record.anchors:
        assert f"{anchor.value:g} {anchor.tier}" in text
        assert anchor.source in text
        assert anchor.model in text
        assert anchor.reproduced is None or anchor.reproduced in text


def test_show_says_plainly_what_is_not_reproduced():
    lines = run("show", "dav2-table2").splitlines()
    assert "sintel, eth3d: UNREPRODUCED: nobody is known to have reproduced a published number" in lines
    assert "sintel: UNREPRODUCED: nobody is known to have reproduced a published number" in lines
    assert "kitti: UNAVAILABLE: it cannot be run" in run("show", "midas").splitlines()


def test_show_as_json_is_the_whole_record():
    shown = json.loads(run("show", "midas", "--json"))
    assert shown.pop("digest") == protocol("midas").digest
    assert DenseProtocol.model_validate(shown) == protocol("midas")


def test_show_prints_the_protocol_of_pairs_too():
    text = run("show", "da2k")
    assert protocol("da2k").digest in text
    assert "ties:        not correct" in text


def shown_examples(folder):
    """The examples of the page, and what `show` says of each."""
    page = (ROOT / "docs/protocols.md").read_text(encoding="utf-8")
    for number, example in enumerate(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)):
        path = folder / f"{number}.yaml"
        path.write_text(example, encoding="utf-8")
        yield yaml.safe_load(example), run("show", str(path))


def test_the_examples_of_the_page_can_be_shown(tmp_path):
    uncropped, cap = shown_examples(tmp_path)
    for example, text in (uncropped, cap):
        assert text.startswith(f"{example['name']}, version 1: {example['title']}")
        assert "kitti: unanchored" in text
        assert "\nnyu: " not in text
    assert "crop of the metrics (metric_crop): none\n     from: As HVision-NKU" in uncropped[1]
    assert "own choice" not in uncropped[1]
    flat = " ".join(cap[1].split())
    assert "(range): above 0.001 m and below 50 m, both strictly own choice 8 resizing" in flat
    assert "at least 1/50 per metre, depth at most 50 m own choice published: nothing" in flat
    assert "80 m" not in cap[1]


@pytest.mark.parametrize("name", DENSE)
def test_show_names_the_fields_of_each_choice(name):
    fields = {row[0] for row in field_table(DenseProtocol)}
    lines = re.findall(r"^ {1,2}\d{1,2}  [\w ]+ \(([\w., ]+)\):", run("show", name), flags=re.MULTILINE)
    named = {field for line in lines for field in line.split(", ")}
    assert all(field in fields or f"datasets.NAME.{field}" in fields for field in named)
    choices = {"frames", "list", "reader", "input_crop", "metric_crop", "range", "clamp", "align_corners"}
    common = {"alignment", "metrics", "metrics_in", "tta", "mean", "not_finite", "rounding", "model_input"}
    assert named - {"fit_side", "alignment.floor"} == choices | common


def test_a_wrong_name_is_one_line():
    line = [sys.executable, "-m", "da2k", "protocols", "show", "dav2"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r'error: unknown protocol "dav2"; .*dav2-table2.*\n', done.stderr)


def test_the_page_of_protocols_is_up_to_date():
    spec = importlib.util.spec_from_file_location("write_protocols", ROOT / "docs/write_protocols.py")
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    text = writer.PAGE.read_text(encoding="utf-8")
    assert writer.BEGIN in text
    assert text == writer.page(text), "run: make docs"


def test_the_table_of_kinds_on_the_page_is_that_of_the_records():
    text = (ROOT / "docs/protocols.md").read_text(encoding="utf-8")
    lines = text[text.index("| | metric_depth |") :].partition("\n\n")[0].splitlines()
    header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    seen = []
    for names, *cells in rows:
        for name in names.split(", "):
            takes = protocol(name).alignment.takes
            for kind, cell in zip(map(DepthKind, header[1:]), cells, strict=True):
                inverted = kind.larger_is_nearer is not takes.larger_is_nearer
                taken = "as 1/depth" if inverted else "taken"
                assert cell == (taken if kind.why_not(takes) is None else "refused"), (name, kind)
            seen.append(name)
    assert sorted(seen) == DENSE


def test_the_page_says_which_protocols_cut_the_input():
    page = " ".join((ROOT / "docs/protocols.md").read_text(encoding="utf-8").split())
    cut = [name for name in DENSE if protocol(name).datasets["kitti"].input_crop == "kb"]
    whole = [name for name in DENSE if name not in cut and protocol(name).datasets["kitti"].status != "unavailable"]
    *others, last = (f"`{name}`" for name in cut)
    assert f"On kitti, {', '.join(others)} and {last} cut the images" in page
    *others, last = (f"`{name}`" for name in whole)
    assert f"fit {', '.join(others)} and {last}." in page
    elsewhere = [rules for name in DENSE for key, rules in protocol(name).datasets.items() if key != "kitti"]
    assert {rules.input_crop for rules in elsewhere} == {"none"}
    assert [name for name in DENSE if protocol(name).tta == "flip"] == ["metric"]
