from da2k.construction.release.contents import ScenarioCount
from da2k.construction.release.counts_figure import _draw, draw_counts


def test_bars_are_the_counts():
    counts = {"a_" + "long" * 40: ScenarioCount(2, 6, 1, 2, 3), "b": ScenarioCount(1, 4, 0, 4, 0)}
    axes = _draw(counts, "x").axes[0]
    widths = {bars.get_label(): [bar.get_width() for bar in bars] for bars in axes.containers}
    assert widths == {"disputed": [1, 0], "manual": [2, 4], "unanimous": [3, 0]}
    assert [text.get_text() for text in axes.texts] == ["6 on 2 photographs", "4 on 1 photograph"]
    assert len(axes.get_yticklabels()[0].get_text()) < 45
    assert draw_counts(counts, "x")[:4] == b"\x89PNG"
