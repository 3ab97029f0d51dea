"""What a report is made of may come from anybody: it is shown, or refused, and never run."""

import json
import re

import numpy as np
import pytest

from da2k.errors import BadInput
from da2k.leaderboard.report import write_report
from tests.leaderboard.report_pages import (
    PAIRS,
    evaluated,
    page_of,
    plain_benchmark,
    rewrite,
    rows_of,
    scored_benchmark,
)


@pytest.fixture
def scored(make_benchmark, tmp_path):
    return scored_benchmark(make_benchmark, tmp_path)


ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    "]]></style></svg><script>alert(1)</script>",
    "right\u202eleft\u2066",
    "x" * 10_000,
    "nul\x00bell\x07",
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda text: text[:12].encode("ascii", "replace").decode())
def test_what_a_file_says_is_shown_and_never_run(make_benchmark, tmp_path, attack):
    folder = make_benchmark(images=8)
    result = evaluated(folder, tmp_path)

    def attacked(content):
        model, run = content["model"], content["run"]
        model |= dict.fromkeys(("name", "spec", "revision", "preprocessing"), attack) | {"options": {attack: attack}}
        run |= dict.fromkeys(("device", "dtype", "started", "python"), attack) | {"packages": {attack: attack}}
        content["benchmark"] |= {"name": attack, "revision": attack}
        content["warnings"] = [attack] * 1000
        content["failures"] = [{"image": attack, "reason": attack}] * 1000
        scenario = sorted(content["scenarios"])[0]
        content["scenarios"][attack] = content["scenarios"].pop(scenario)
        rows.loc[rows["scenario"] == scenario, "scenario"] = attack

    rows = rows_of(result)
    attacked(content := json.loads(result.read_text()))
    rewrite(result, lambda fields: fields.update({k: v for k, v in content.items() if k != "rows"}), rows)
    page = page_of(result)
    assert page.dangers() == []
    assert page.open == []
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x07]", page.html)
    assert len(page.html) < 200_000
    if len(attack) < 100 and attack.isprintable():
        assert attack in page.text, "it is shown as it was written"


def test_attacks_in_file_names_are_shown_and_never_run(tmp_path):
    attack = '"><img src=x onerror=alert(1)>'
    root = plain_benchmark(tmp_path, PAIRS)
    (root / "images" / attack).mkdir()
    (root / "images/indoor/plain.png").rename(root / "images" / attack / f"{attack}.png")
    labels = (root / "annotations.json").read_text()
    name = json.dumps(f"images/{attack}/{attack}.png")
    (root / "annotations.json").write_text(labels.replace('"images/indoor/plain.png"', name))
    result = evaluated(root, tmp_path, lambda pixels: np.indices(pixels.shape[:2])[0], kind="affine_depth")
    page = page_of(result, benchmark=root)
    assert page.dangers() == []
    assert attack in page.text
    assert len(page.images) == len(page.pairs) > 0


def lift(content):
    content["counts"]["correct"] += 1


def digest(content):
    content["rows"]["sha256"] = "0" * 64


def macro(content):
    content["accuracy"]["macro"] = 0.99


@pytest.mark.parametrize(
    ("change", "message"), [(lift, "counts"), (digest, "SHA-256 differs"), (macro, "accuracy.macro")]
)
def test_a_damaged_result_is_refused(scored, change, message):
    _, result = scored
    rewrite(result, change)
    refused(result, message)


def swap(rows):
    first = {outcome: rows.index[rows["outcome"] == outcome][0] for outcome in ("correct", "wrong")}
    scenario = rows["scenario"] == rows.loc[first["correct"], "scenario"]
    other = rows.index[scenario & (rows["outcome"] == "wrong")][0]
    rows.loc[first["correct"], "outcome"], rows.loc[other, "outcome"] = "wrong", "correct"


def words(rows):
    rows["closer_row"] = "here"


def nameless(rows):
    rows.loc[0, "image"] = None


@pytest.mark.parametrize(
    ("change", "message"), [(swap, "the values there say"), (words, "closer_row"), (nameless, "image")]
)
def test_rows_that_contradict_themselves_are_refused(scored, change, message):
    _, result = scored
    rows = rows_of(result)
    change(rows)
    rewrite(result, lambda content: None, rows)
    refused(result, message)


def refused(result, message, out=None, **options):
    with pytest.raises(BadInput, match=re.escape(message)) as error:
        write_report(result, out or result.with_name("refused.html"), **options)
    assert "\n" not in str(error.value)
    assert not result.with_name("refused.html").exists()


def test_what_does_not_belong_together_is_refused(scored, make_benchmark, tmp_path):
    folder, result = scored
    refused(result, "benchmark.digest", benchmark=make_benchmark(seed=9, name="other"))
    refused(result, "leave --root out, or give --benchmark too", root=folder)
    refused(result, "leave --list out", own_list=folder)
    refused(result, "no folder and no benchmark", benchmark="nowhere")
    refused(result, "is a folder", out=tmp_path)
    before = result.read_bytes()
    refused(result, "is there already and is no report of da2k", out=result)
    assert result.read_bytes() == before
    refused(tmp_path / "none.json", "No such file")
    rows = rows_of(result)
    rows["closer_col"] += 1
    rewrite(result, lambda content: None, rows)
    refused(result, "its rows are not the pairs of", benchmark=folder)
