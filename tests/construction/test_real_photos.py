"""The whole construction on real photographs, with three real networks and a baseline as the experts."""

import json
import subprocess
import sys
from math import inf

import numpy as np
import pytest

from da2k.construction.queue import read_pairs
from da2k.construction.workspace import open_workspace
from da2k.pairs import SCENARIOS

NETWORKS = {
    "fast_depth_224": "kind=metric_depth",
    "mobile_pydnet_kitti_pruned35_192x640": "kind=affine_disparity output_scale=-1",
    "pydnetpp_matterport_q8_448x640": "kind=scale_invariant_depth",
}
MANUAL = {"transparent_reflective", "object"}


def da2k(*words):
    done = subprocess.run([sys.executable, "-m", "da2k", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_27_photographs_give_disputed_pairs_in_every_automatic_scenario(shared, tmp_path):
    pytest.importorskip("ai_edge_litert")
    weights, workspace = shared / "data/weights", tmp_path / "ws"
    experts = [f"tflite:{weights / name}.tflite {options}" for name, options in NETWORKS.items()]
    named = [word for expert in (*experts, "baseline:sharpness") for word in ("--expert", expert)]
    da2k("build", "init", workspace, shared / "data/mini-da2k", *named)
    da2k("build", "run", workspace)
    found = json.loads(da2k("build", "status", workspace, "--json"))
    assert found["total"]["images"] == 27
    assert found["due"] == {}
    assert found["failures"] == []
    assert set(found["scenarios"]) == set(SCENARIOS)
    for name, counts in found["scenarios"].items():
        if name in MANUAL:
            assert counts["points"] == counts["pairs"] == 0, name
        else:
            assert counts["read"] == counts["images"] > 0, name
            assert counts["disputed"] == counts["queued"] > 0, name
    check_votes(workspace, [*experts, "baseline:sharpness"])


def check_votes(workspace, experts):
    """Every vote and every ratio, from the experts' stored values at the two points."""
    with open_workspace(workspace, read_only=True) as opened:
        points = {
            image: [tuple(point) for point in np.frombuffer(data, "<i4").reshape(-1, 2).tolist()]
            for image, data in opened.db.run("SELECT image, points FROM keypoints")
        }
        read = {
            (image, expert): (kind, np.frombuffer(data, "<f8"))
            for image, expert, kind, data in opened.db.run("SELECT image, expert, kind, data FROM readings")
        }
        pairs = read_pairs(opened)
    assert {expert for _, expert in read} == set(experts)
    for pair in pairs:
        at = [points[pair.image].index(point) for point in (pair.point1, pair.point2)]
        votes, ratios = [], []
        for expert in experts:
            kind, values = read[pair.image, expert]
            a, b = values[at].tolist()
            nearer = "larger" if kind == "affine_disparity" else "smaller"
            votes.append(0 if a == b else 1 if (a > b) is (nearer == "larger") else 2)
            low, high = min(a, b), max(a, b)
            ratios.append(1 if high <= 0 or low == high else inf if low <= 0 else high / low)
        agreed = len(set(votes)) == 1 and votes[0] != 0
        assert pair.votes == tuple(votes)
        assert pair.ratio == max(ratios)
        assert pair.outcome == ("unanimous" if agreed else "disputed" if max(ratios) > 3 else "too_close")
