"""The demo: what it releases agrees with the renderer, and what its audit says agrees with the whole."""

import json

import numpy as np
import pytest

from da2k.cli import main
from da2k.construction.audit import estimate_errors
from da2k.construction.demo import CLEAR, answer_exactly, demo_settings, run_demo
from da2k.construction.intake import take_in
from da2k.construction.pipeline import build
from da2k.construction.queue import read_decisions, read_pairs, record_answers
from da2k.construction.selection import select_pairs
from da2k.construction.settings import FILE_NAME, write_settings
from da2k.construction.workspace import open_workspace
from da2k.errors import BadInput
from da2k.files import sha256_file
from da2k.pairs import SCENARIOS

SEEDS = range(1, 61)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "out"
    return folder, run_demo(folder)


@pytest.fixture(scope="module")
def depths(demo):
    """The exact depth of every scene, as the renderer wrote it."""
    folder = demo[0] / "exact_depth"
    return {f.relative_to(folder).with_suffix(".png").as_posix(): np.load(f) for f in folder.rglob("*.npy")}


def test_every_released_label_agrees_with_the_exact_depth(demo, depths):
    folder, made = demo
    labels = json.loads((folder / "benchmark" / "annotations.json").read_text())
    count = 0
    for image, pairs in labels.items():
        for pair in pairs:
            assert pair["closer_point"] == "point1"
            near, far = (depths[image][tuple(pair[key])] for key in ("point1", "point2"))
            assert near * CLEAR <= far
            count += 1
    assert count == made.release.pairs == made.funnel.total.released > 80
    assert set(made.release.scenarios) == set(SCENARIOS)


def test_experts_choose_only_where_they_may(demo):
    scenarios = demo[1].funnel.scenarios
    for name in ("transparent_reflective", "object"):
        assert (scenarios[name].points, scenarios[name].disputed) == (0, 0)
        assert scenarios[name].manual > 0
    assert all(count.disputed > 0 for count in scenarios.values() if count.to_read)


def test_the_exact_depth_scores_all_and_no_baseline_does(demo):
    *baselines, exact = demo[1].results
    assert exact.counts.correct == exact.counts.total
    assert all(result.counts.correct < result.counts.total for result in baselines)


def test_the_command_makes_the_same_again_and_says_that_no_people_took_part(demo, capsys, monkeypatch):
    folder, made = demo
    monkeypatch.setattr("sys.argv", ["da2k", "demo", "--out", str(folder)])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    told = capsys.readouterr().out
    assert "No people took part" in told
    assert all(name in told for name in ("baseline:row", "exact depth", "transparent_reflective", "audit:"))
    assert sha256_file(folder / "benchmark" / "SHA256SUMS") == made.release.digest


def test_it_writes_into_no_folder_but_its_own(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/annotations.json").write_text("{}")
    with pytest.raises(BadInput, match="is not from the demo"):
        run_demo(tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["annotations.json"]


def test_a_folder_with_depth_of_one_s_own_is_not_taken_for_a_demo(tmp_path):
    mine = tmp_path / "mine"
    for name in ("exact_depth/predictions.yaml", "workspace/mine.txt"):
        (mine / name).parent.mkdir(parents=True)
        (mine / name).write_text("mine")
    with pytest.raises(BadInput, match="is not from the demo"):
        run_demo(mine)
    assert (mine / "workspace/mine.txt").read_text() == (mine / "exact_depth/predictions.yaml").read_text() == "mine"


def test_the_audit_s_interval_covers_the_true_rate_over_many_seeds(tmp_path, demo, depths):
    """The true rate is that of all unanimous pairs, which the exact depth knows without any audit."""
    folder = tmp_path / "ws"
    folder.mkdir()
    settings = demo_settings()
    more = {"quota": 60, "attempts": 2000, "audit": 0.3}
    settings = settings.model_copy(update={"selection": settings.selection.model_copy(update=more)})
    write_settings(folder / FILE_NAME, settings)
    take_in(folder, demo[0] / "scenes")
    covered, widths = 0, []
    for seed in SEEDS:
        write_settings(folder / FILE_NAME, settings.model_copy(update={"seed": seed}))
        with open_workspace(folder) as workspace:
            build(workspace) if seed == SEEDS[0] else select_pairs(workspace)
            record_answers(workspace, answer_exactly(read_pairs(workspace, queued_only=True), depths.__getitem__))
            pairs = read_pairs(workspace)
            audit = estimate_errors(pairs, read_decisions(workspace))
        truth = [wrong for pair in pairs if pair.outcome == "unanimous" for wrong in _wrong(pair, depths)]
        assert audit.interval is not None
        assert 0 < audit.decided < len(truth)
        covered += audit.interval[0] <= np.mean(truth) <= audit.interval[1]
        widths.append(audit.interval[1] - audit.interval[0])
    assert covered >= 0.9 * len(SEEDS)
    assert np.mean(widths) < 0.2, "an interval so wide would cover anything"


def _wrong(pair, depths):
    """Whether all experts are wrong; nothing where the depths are too alike to tell."""
    near, far = sorted(float(depths[pair.image][point]) for point in (pair.point1, pair.point2))
    if far >= CLEAR * near:
        closer = 1 if depths[pair.image][pair.point1] < depths[pair.image][pair.point2] else 2
        yield pair.votes[0] != closer
