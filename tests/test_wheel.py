"""The built wheel, installed in an empty environment and run from an unrelated folder."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(ROOT)], check=True, capture_output=True
    )
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_its_data_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "data_manifest.yaml",
        "models/zoo.yaml",
        "protocols/da2k.yaml",
        "protocols/dav2-table2.yaml",
        "annotation/GUIDELINES.md",
        "annotation/interfaces/pairs.xml",
        "annotation/interfaces/photos.xml",
        "leaderboard/templates/base.html.j2",
        "leaderboard/templates/index.html.j2",
        "leaderboard/templates/site.js",
        "leaderboard/templates/style.css",
        "py.typed",
    ):
        assert f"da2k/{needed}" in names
    outside = [name for name in names if not name.startswith(("da2k/", "da2k-"))]
    assert not outside
    metadata = zipfile.ZipFile(wheel).read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert "License-File: LICENSE" in metadata


@pytest.mark.slow
def test_the_installed_wheel_runs_the_demo_anywhere(wheel, tmp_path):
    home = tmp_path / "empty"
    venv.create(home, with_pip=True)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    constraints = ROOT / "constraints.txt"
    install = [python, "-m", "pip", "install", "--quiet", "--constraint", constraints, wheel]
    subprocess.run(list(map(str, install)), check=True, capture_output=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment["DA2K_HOME"] = str(tmp_path / "home")

    def run(*words):
        line = [str(python), "-m", "da2k", *words]
        return subprocess.run(line, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False)

    demo = run("demo", "--out", "d")
    assert demo.returncode == 0, demo.stderr
    assert "baseline:row" in demo.stdout
    assert "da2k" in run("data", "list").stdout
    assert "depth-anything-v2-small" in run("models", "list").stdout
    refused = run("evaluate", "depth-anything-v2-small", "--benchmark", "d/benchmark")
    assert refused.returncode == 1
    assert "pip install 'da2k[models]'" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    result = next((elsewhere / "d/results").glob("*.json"))
    assert str(ROOT) not in result.read_text()
