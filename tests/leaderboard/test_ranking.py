"""Ranks: against a plain reading of the rule with scipy's binomial test, and laws that any such ranking obeys."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from da2k.errors import BadInput
from da2k.leaderboard.board import read_board
from da2k.leaderboard.paired import answers_of, mcnemar_exact_many
from da2k.leaderboard.published import PublishedRow, load_published
from da2k.leaderboard.ranking import floors, pairwise, rank, rank_published
from tests.leaderboard.boards import release_of, write_row

PUBLISHED = Path(__file__).resolve().parents[2] / "leaderboard"


def p_value(a, b, pairs):
    """Exact McNemar of two strings of outcomes over these pairs, from the definition."""
    only_a = sum(a[i] == "c" and b[i] != "c" for i in pairs)
    only_b = sum(b[i] == "c" and a[i] != "c" for i in pairs)
    return (binomtest(only_a, only_a + only_b, 0.5).pvalue if only_a + only_b else 1.0), only_a, only_b


def both_answered(a, b):
    return [i for i in range(len(a)) if a[i] in "cwt" and b[i] in "cwt"]


def holm_rejected(p):
    """Indices that Holm's procedure rejects at 5 %: the smallest at 5 %/m, the next at 5 %/(m - 1), until one fails."""
    rejected = set()
    for step, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[i] * (len(p) - step) >= 0.05:
            break
        rejected.add(i)
    return rejected


def expected_ranks(outcomes):
    """{name: rank} by the rule of leaderboard/README.md, read plainly."""
    left = sorted(outcomes, key=lambda name: (-outcomes[name].count("c"), name))
    ranks = {}
    while left:
        leader, others = left[0], left[1:]
        p = []
        for name in others:
            worse = [1.0]
            for pairs in (both_answered(outcomes[leader], outcomes[name]), range(len(outcomes[name]))):
                value, only_leader, only_row = p_value(outcomes[leader], outcomes[name], pairs)
                worse += [value] if only_leader > only_row else []
            p.append(min(worse))
        below = holm_rejected(p)
        place = len(ranks) + 1
        ranks |= {leader: place} | {name: place for i, name in enumerate(others) if i not in below}
        left = [name for i, name in enumerate(others) if i in below]
    return ranks


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A new folder for each call: hypothesis runs a test's body many times."""
    return lambda: tmp_path_factory.mktemp("board")


def models(letters="cwtim", pairs=40, most=6):
    # Of two skill levels and up: uniform letters alone would hardly ever be separable.
    skilled = st.builds(
        lambda base, right: "".join("c" if i < right else c for i, c in enumerate(base)),
        st.text(letters, min_size=pairs, max_size=pairs),
        st.integers(0, pairs),
    )
    return st.lists(skilled, min_size=1, max_size=most).map(lambda found: {f"model{i}": s for i, s in enumerate(found)})


BOARDS = settings(max_examples=25)


class TestRank:
    def test_the_tiers_of_a_board_worked_out_by_hand(self, tmp_path):
        # Against a: b differs on 5 pairs (p = 2/2**5 = .0625), c on 12 (p = 2/2**12), d on 30.
        release = release_of(
            tmp_path, {"a": "c" * 40, "b": "c" * 35 + "w" * 5, "c": "c" * 28 + "w" * 12, "d": "c" * 10 + "w" * 30}
        )
        found = [(each.placed.row.result.model.name, each.rank, each.tier, each.leader) for each in rank(release)]
        assert found == [("a", 1, 1, True), ("b", 1, 1, False), ("c", 3, 2, True), ("d", 4, 3, True)]
        second = rank(release)[1]
        assert (second.answered, second.unanswered, second.only_leader, second.only_row) == (40, 0, 5, 0)
        assert second.p == pytest.approx(0.0625)
        assert second.p_all is None

    def test_holm_s_correction_decides(self, tmp_path):
        # 6 pairs of difference: p = .03125, significant alone but not as one of two such tests.
        worse = "c" * 34 + "w" * 6
        alone = release_of(tmp_path / "alone", {"a": "c" * 40, "b": worse})
        assert [each.rank for each in rank(alone)] == [1, 2]
        among = release_of(tmp_path / "among", {"a": "c" * 40, "b": worse, "c": worse})
        assert [each.rank for each in rank(among)] == [1, 1, 1]
        assert rank(among)[1].p_holm == pytest.approx(0.0625)

    @BOARDS
    @given(models())
    def test_as_a_plain_reading_of_the_rule(self, scratch, outcomes):
        ranked = rank(release_of(scratch(), outcomes))
        assert {each.placed.row.result.model.name: each.rank for each in ranked} == expected_ranks(outcomes)

    @BOARDS
    @given(models(), st.randoms(use_true_random=False))
    def test_the_order_of_files_and_of_pairs_changes_nothing(self, scratch, outcomes, random):
        def found(names, shuffled):
            board = scratch()
            for name in names:
                order = list(range(len(outcomes[name])))
                if shuffled:
                    random.shuffle(order)
                write_row(board, name, outcomes[name], order=order)
            [release] = read_board(board)
            return [
                (each.placed.key, each.rank, each.only_leader, each.only_row, each.p_holm) for each in rank(release)
            ]

        names = list(outcomes)
        random.shuffle(names)
        assert found(names, True) == found(list(outcomes), False)

    @BOARDS
    @given(models(most=4))
    def test_identical_rows_share_a_rank(self, scratch, outcomes):
        twins = outcomes | {f"{name}-twin": letters for name, letters in outcomes.items()}
        ranks = {each.placed.key: each.rank for each in rank(release_of(scratch(), twins))}
        assert all(ranks[name] == ranks[f"{name}-twin"] for name in outcomes)

    @BOARDS
    @given(models())
    def test_the_leader_is_the_best_of_its_tier_and_of_all_below(self, scratch, outcomes):
        ranked = rank(release_of(scratch(), outcomes))
        correct = [each.placed.row.result.counts.correct for each in ranked]
        tiers = [each.tier for each in ranked]
        assert tiers == sorted(tiers)
        assert len(ranked) == len(outcomes)
        for i, each in enumerate(ranked):
            assert each.leader is (i == 0 or tiers[i - 1] != each.tier)
            assert each.rank == 1 + tiers.index(each.tier)
            if each.leader:
                assert correct[i] == max(correct[i:])

    def test_a_tie_is_answered_and_not_correct(self, tmp_path):
        tied = release_of(tmp_path / "tied", {"a": "c" * 40, "b": "c" * 10 + "t" * 30})
        wrong = release_of(tmp_path / "wrong", {"a": "c" * 40, "b": "c" * 10 + "w" * 30})
        keys = ("rank", "answered", "unanswered", "only_leader", "p", "p_holm")
        assert [getattr(rank(tied)[1], key) for key in keys] == [getattr(rank(wrong)[1], key) for key in keys]
        assert rank(tied)[1].rank == 2

    @pytest.mark.parametrize("letter", ["m", "i"])
    def test_answering_few_pairs_is_no_way_to_the_top(self, tmp_path, letter):
        release = release_of(tmp_path, {"a": "c" * 38 + "ww", "b": "c" * 5 + letter * 35})
        first, second = rank(release)
        assert (first.placed.key, first.rank, second.rank) == ("a", 1, 2)
        release = release_of(tmp_path / "near", {"a": "c" * 38 + "ww", "b": "c" * 35 + letter * 5})
        shared = rank(release)[1]
        assert shared.rank == 1
        assert (shared.answered, shared.unanswered, shared.only_leader) == (35, 5, 0)
        assert shared.p == 1.0
        assert shared.p_all == pytest.approx(binomtest(3, 3, 0.5).pvalue)

    def test_a_row_that_is_better_on_the_pairs_both_answered_is_not_set_below_for_it(self, tmp_path):
        # b is right wherever it answers, and a is wrong at 10 of these pairs; a's lead comes from two pairs more.
        a, b = "w" * 10 + "c" * 28 + "cc", "c" * 10 + "c" * 15 + "m" * 15
        assert a.count("c") > b.count("c")
        first, second = rank(release_of(tmp_path, {"a": a, "b": b}))
        assert first.placed.key == "a"
        assert second.p < 0.05
        assert second.only_row == 10
        assert second.rank == 1

    def test_a_model_that_answers_nothing(self, tmp_path):
        ranked = rank(release_of(tmp_path, {"a": "c" * 40, "b": "m" * 40, "c": "i" * 40}))
        assert [(each.placed.key, each.rank) for each in ranked] == [("a", 1), ("b", 2), ("c", 2)]
        assert ranked[2].p == 1.0

    def test_rows_of_other_pairs_are_refused(self, tmp_path):
        release_of(tmp_path, {"a": "c" * 10})
        write_row(tmp_path, "b", "c" * 10, scenarios=("indoor", "aerial"))
        [release] = read_board(tmp_path)
        with pytest.raises(BadInput, match=r"results/b/.*: its per-pair rows name other pairs than .*/a/"):
            rank(release)


class TestFloors:
    def board(self, tmp_path):
        for cue, letters in (("row", "c" * 30 + "w" * 10), ("centre", "c" * 20 + "w" * 20)):
            spec = f"baseline:{cue}"
            write_row(tmp_path, spec, letters, model={"spec": spec, "preprocessing": "none: lower is nearer"})
        write_row(tmp_path, "net", "c" * 5 + "w" * 35)
        [release] = read_board(tmp_path)
        return release

    def test_baselines_are_floors_and_have_no_rank(self, tmp_path):
        release = self.board(tmp_path)
        assert [(each.placed.key, each.rank) for each in rank(release)] == [("net", 1)]
        assert pairwise(release).keys == ("net",)
        assert [(each.name, each.accuracy) for each in floors(release)] == [
            ("baseline:row", 0.75),
            ("baseline:centre", 0.5),
            ("constant answer", 0.0),
        ]

    def test_the_constant_answer_is_always_there(self, tmp_path):
        [floor] = floors(release_of(tmp_path, {"a": "c" * 12}))
        assert (floor.counts.total, floor.counts.tied, floor.counts.correct, floor.placed) == (12, 12, 0, None)
        # Wilson's interval of 0 of n ends at z² / (n + z²).
        assert floor.interval == (0.0, pytest.approx(1.959964**2 / (12 + 1.959964**2)))

    def test_a_board_of_floors_alone_ranks_nobody(self, tmp_path):
        write_row(tmp_path, "baseline:row", "cw", model={"spec": "baseline:row"})
        [release] = read_board(tmp_path)
        assert rank(release) == ()
        assert pairwise(release).keys == ()
        assert len(floors(release)) == 2


class TestPairwise:
    @BOARDS
    @given(models(most=5))
    def test_as_scipy_s_binomial_test_over_the_pairs_both_answered(self, scratch, outcomes):
        release = release_of(scratch(), outcomes)
        found = pairwise(release, answers_of(release))
        assert found.keys == tuple(each.placed.key for each in rank(release))
        couples = list(combinations(range(len(found.keys)), 2))
        raw = []
        for i, j in couples:
            a, b = outcomes[found.keys[i]], outcomes[found.keys[j]]
            pairs = both_answered(a, b)
            value, only_a, only_b = p_value(a, b, pairs)
            raw.append(value)
            assert found.difference[i, j] == pytest.approx((only_a - only_b) / len(pairs) if pairs else 0)
        significant = {couples[k] for k in holm_rejected(raw)}
        assert {(i, j) for i, j in couples if found.p_holm[i, j] < 0.05} == significant
        assert np.array_equal(found.p_holm, found.p_holm.T)
        assert np.array_equal(found.difference, -found.difference.T)
        assert (np.diag(found.p_holm) == 1).all()

    @given(st.lists(st.tuples(st.integers(0, 2068), st.integers(0, 2068)), min_size=1, max_size=10))
    def test_many_tests_at_once_are_the_single_ones(self, counts):
        a, b = np.array(counts).T
        single = [binomtest(int(x), int(x + y), 0.5).pvalue if x + y else 1.0 for x, y in counts]
        assert mcnemar_exact_many(a, b) == pytest.approx(single, rel=1e-9, abs=1e-300)


class TestRankPublished:
    def row(self, model, correct, source="a paper", total=1000, tier="paper"):
        return PublishedRow(
            model=model, benchmark="b", accuracy=correct / total, correct=correct, total=total, tier=tier, source=source
        )

    def test_the_interval_decides(self):
        # Wilson, 95 %: 970 of 1000 is .957-.979, 950 is .935-.962, 930 is .912-.944 (Agresti and Coull's formula).
        ranked = rank_published([self.row("c", 930), self.row("a", 970), self.row("b", 950)])
        assert [(each.row.model, each.rank, each.tier) for each in ranked] == [("a", 1, 1), ("b", 1, 1), ("c", 3, 2)]
        assert all(each.by_interval for each in ranked)

    def test_sources_are_ranked_apart(self):
        rows = [self.row("a", 970), self.row("a", 500, "another", tier="third party"), self.row("b", 100)]
        assert [(each.row.source, each.row.model, each.rank) for each in rank_published(rows)] == [
            ("a paper", "a", 1),
            ("a paper", "b", 2),
            ("another", "a", 1),
        ]

    def test_nobody_no_ranks(self):
        assert rank_published([]) == ()

    def test_the_paper_s_table_3(self):
        ranked = rank_published([row for row in load_published(PUBLISHED).rows if "Table 3" in row.source])
        ranks = {each.row.model: each.rank for each in ranked}
        best = {name for name, place in ranks.items() if place == 1}
        assert best == {f"Depth Anything V2 ViT-{size}" for size in "BLG"}
        assert ranks["Depth Anything V2 ViT-S"] == 4
