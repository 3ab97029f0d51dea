"""What docs/construction.md shows runs as it stands there."""

import re
from pathlib import Path

from da2k.construction.decisions import State
from da2k.construction.queue import DrawnPair, read_decisions, write_pairs
from da2k.construction.workspace import open_workspace
from da2k.pairs import Point, pair_id

DOC = Path(__file__).resolve().parents[2] / "docs" / "construction.md"
GLASS, ROOM = "images/transparent_reflective/glass.jpg", "images/indoor/room.png"


def test_the_example_of_answers_runs(make_workspace, monkeypatch, tmp_path, capsys):
    workspace = make_workspace({GLASS: (60, 80), ROOM: (60, 80)}, name="bench")
    ends = Point(1, 1), Point(2, 2)
    write_pairs(workspace, [DrawnPair(pair_id(ROOM, *ends), ROOM, *ends, "disputed", (1, 2, 1, 2), 4.0, queued=True)])
    folder = tmp_path / "elsewhere" / "bench"
    folder.parent.mkdir()
    workspace.db.run("PRAGMA wal_checkpoint(TRUNCATE)")
    import shutil

    shutil.copytree(workspace.folder, folder, ignore=shutil.ignore_patterns(".lock*"))
    (code,) = re.findall(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL)
    monkeypatch.chdir(folder.parent)
    exec(compile(code, "docs/construction.md", "exec"), {})
    assert "kept" in capsys.readouterr().out
    with open_workspace(folder, read_only=True) as opened:
        glass, room = pair_id(GLASS, Point(40, 50), Point(10, 20)), pair_id(ROOM, *ends)
        decisions = read_decisions(opened)
    assert (decisions[glass].state, decisions[glass].closer) == (State.KEPT, "point2")
    assert decisions[room].reason == "cannot tell"
