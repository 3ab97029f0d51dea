import json
from collections import Counter
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from da2k.construction.release import make_release
from da2k.construction.release.card import escape
from tests.construction.conftest import BASELINES
from tests.construction.decided import (
    ANSWERS,
    FOG,
    FOGGY,
    FULL,
    KEPT_1,
    MANUAL,
    PAIRS,
    PLAIN,
    decided_workspace,
    say,
)
from tests.metrics.test_agreement import textbook_alpha


@pytest.fixture
def workspace(make_workspace):
    return decided_workspace(make_workspace)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "fog"


def test_the_card_counts_what_the_labels_hold(workspace, out):
    report = make_release(workspace, out)
    card = (out / "README.md").read_text(encoding="utf-8")
    labels = json.loads((out / "annotations.json").read_bytes())
    pairs = Counter()
    for image, entries in labels.items():
        pairs[image.split("/")[1]] += len(entries)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in card.splitlines() if line[:1] == "|"]
    table = {row[0].replace("\\", ""): row[2] for row in rows if len(row) == 6}
    assert {name: int(table[name]) for name in pairs} == dict(pairs)
    assert int(table["all"]) == sum(pairs.values()) == 4
    assert ["pairs", "1", "1", "1", "0", "0"] in rows  # by how many of four experts are right
    assert report.labels in card
    front = yaml.safe_load(card.split("---\n")[1])
    assert (front["license"], front["size_categories"]) == ("cc-by-4.0", ["n<1K"])


def test_the_card_says_what_people_and_the_audit_found(workspace, out):
    make_release(workspace, out)
    card = (out / "README.md").read_text(encoding="utf-8")
    # 8 pairs were asked of people: 3 + 4 + 2 + 1 + 3 + 4 + 3 + 3 answers; one kept pair of 5 had a dissenter.
    assert "4 people gave 23 answers to 8 pairs, of which 5 were kept." in card
    assert "On 4 of the 5 kept ones all said the same; a majority decided 1." in card
    assert "3 pairs were dropped: 1 bad sample, 1 cannot tell, 1 people disagree." in card
    assert "Nobody was asked about 1 pair" in card
    # Wilson's interval of 1 in 2, from its formula with z = 1.959964: 0.5 -+ sqrt(z² / (2 + z²) / 4) = 0.0945, 0.9055
    assert "On 1 of 2 audited unanimous pairs all experts were wrong together: 50.0 %" in card
    assert "(95 % Wilson interval 9.5 to 90.5 %" in card
    assert "A ranking that contains one of them" in card
    assert all(name in card for name in BASELINES)


def agreement_of(out):
    """The section of the card, and the rows of its table."""
    section = (out / "README.md").read_text("utf-8").split("## How far people agree\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return section, rows[2:]


def test_the_card_says_how_far_people_agree(workspace, out):
    make_release(workspace, out)
    section, rows = agreement_of(out)
    said = {}
    for answer in ANSWERS:
        if answer.source == "person":
            said.setdefault(answer.pair, {})[answer.person] = answer.says
    said = {pair: each for pair, each in said.items() if len(each) > 1}  # UNSURE has one answer
    fog = {pair: each for pair, each in said.items() if pair.startswith(FOG)}
    indoor = {pair: each for pair, each in said.items() if "/indoor/" in pair}
    assert f"is {textbook_alpha(said):.3f}, over 22 answers of 4 people to 7 pairs." in section
    assert "nobody was shown another's answer" in section
    assert rows == [
        ["indoor", "5", "15", "4", f"{textbook_alpha(indoor):.3f}"],
        ["adverse\\_style", "2", "7", "4", f"{textbook_alpha(fog):.3f}"],
    ]
    assert not any(name in section for name in ("Ann", "bob", "Cy", "Dee"))


def test_in_review_the_card_gives_the_share_confirmed_and_no_alpha(make_workspace, out):
    make_release(decided_workspace(make_workspace, annotation={"mode": "review"}), out)
    section, rows = agreement_of(out)
    # By hand, each day one answer: KEPT_1 2 of 2, KEPT_2 2 of 3, BAD 0 of 1, FOGGY 2 of 2, SPLIT 1 of 3, audited 4 of 4
    assert "11 of 15 checks confirmed the first answer: 73.3 % (95 % Wilson interval 48.0 to 89.1 %" in section
    assert "saw the first answer, so their answers are not blind" in section
    assert "Krippendorff" not in section
    assert rows == [["indoor", "5", "15", "4", "8 of 10"], ["adverse\\_style", "2", "7", "4", "3 of 5"]]


def test_the_card_goes_by_how_tasks_were_sent(workspace, out):
    """The settings may have been changed since."""
    workspace.db.run("INSERT INTO campaigns VALUES ('pairs', 't', 'http://s', 1, 'review', NULL, NULL)")
    make_release(workspace, out)
    assert "checks confirmed" in agreement_of(out)[0]


def test_agreement_that_is_not_known_is_said_to_be_so(make_workspace, tmp_path):
    one, alike, unordered = tmp_path / "one", tmp_path / "alike", tmp_path / "unordered"
    alone = [*say(KEPT_1, "point1"), *say(FOGGY, "point2")]
    settings = {"pairs": [KEPT_1, FOGGY], "answers": alone, "checks": {"checks": 0}}
    make_release(decided_workspace(make_workspace, name="a", **settings), one)
    assert "alpha of their answers is not known: nothing was answered by two people." in agreement_of(one)[0]
    same = [*say(KEPT_1, "point1", "point1", "point1"), *say(FOGGY, "point1", "point1", "point1")]
    make_release(decided_workspace(make_workspace, name="b", pairs=[KEPT_1, FOGGY], answers=same), alike)
    assert "alpha of their answers is not known: everybody always said the same" in agreement_of(alike)[0]
    timeless = [replace(answer, given=None) for answer in same]
    settings = {"pairs": [KEPT_1, FOGGY], "answers": timeless, "annotation": {"mode": "review"}}
    make_release(decided_workspace(make_workspace, name="c", **settings), unordered)
    section, rows = agreement_of(unordered)
    assert "is not known: it is not known whose answer was first." in section
    assert rows == []


def test_where_nobody_was_asked_the_card_has_nothing_to_say_of_people(make_workspace, out):
    answers = [answer for answer in ANSWERS if answer.source == "exact"]
    make_release(decided_workspace(make_workspace, pairs=[MANUAL], answers=answers), out)
    assert "How far people agree" not in (out / "README.md").read_text("utf-8")


def test_without_an_audit_the_card_says_that_it_is_not_known(make_workspace, out):
    pairs = [pair for pair in PAIRS if not pair.audited]
    make_release(decided_workspace(make_workspace, pairs=pairs), out)
    assert "it is not known how often all experts are wrong together" in (out / "README.md").read_text("utf-8")


def test_the_models_that_voted_are_named_with_their_weights(workspace, out):
    record = {"name": "x", "spec": "baseline:row", "kind": "affine_disparity", "revision": "c0ffee"}
    record["weights_digest"] = "ab" * 32
    workspace.db.run("INSERT OR REPLACE INTO experts VALUES ('baseline:row', 'i', ?, '{}')", json.dumps(record))
    make_release(workspace, out)
    row = f"| baseline:row | affine\\_disparity | c0ffee | {'ab' * 32} |"
    assert row in (out / "README.md").read_text(encoding="utf-8")


def test_what_is_open_in_the_settings_is_said(make_workspace, out):
    workspace = decided_workspace(make_workspace, release={})
    (note,) = make_release(workspace, out).notes
    wanted = ("release.description", "release.licence", "release.creators", "release.url", "release.date")
    assert all(name in note for name in wanted)
    assert yaml.safe_load((out / "README.md").read_text("utf-8").split("---\n")[1])["license"] == "unknown"


def test_photographs_without_votes_are_said(workspace, out):
    assert not any("no votes" in note for note in make_release(workspace, out).notes)
    failed = "UPDATE work SET failure = 'boom' WHERE stage = ? AND image = ?"
    for expert in BASELINES[:2]:  # one photograph, whoever failed on it
        workspace.db.run(failed, f"readings: {expert}", PLAIN)
        workspace.db.run("DELETE FROM readings WHERE image = ? AND expert = ?", PLAIN, expert)
    workspace.db.run("DELETE FROM pairs WHERE image = ?", PLAIN)
    workspace.db.run("DELETE FROM work WHERE stage = 'selection' AND image = ?", PLAIN)
    report = make_release(workspace, out, replace=True)
    said = "1 of 3 photographs of automatic scenarios has no votes, since an expert failed on it."
    assert said in report.notes
    assert f"- {said}" in (out / "README.md").read_text(encoding="utf-8")
    assert said in json.loads((out / "croissant.json").read_bytes())["rai:dataBiases"]


def test_key_points_that_failed_are_not_laid_at_an_expert_s_door(make_workspace, out):
    workspace = decided_workspace(make_workspace, pairs=[KEPT_1, FOGGY, MANUAL])
    stages = [f"readings: {expert}" for expert in BASELINES]
    for image in (FOG, PLAIN):
        workspace.db.run("UPDATE work SET failure = 'boom' WHERE stage = 'keypoints' AND image = ?", image)
        for stage in (*stages, "selection"):
            workspace.db.run("DELETE FROM work WHERE stage = ? AND image = ?", stage, image)
    assert "2 of 3 photographs of automatic scenarios have no votes, since finding key points failed on them." in (
        make_release(workspace, out).notes
    )


def test_a_draft_that_lacks_nothing_does_not_say_that_it_does(workspace, out):
    report = make_release(workspace, out, draft=True)
    card, croissant = (out / "README.md").read_text(encoding="utf-8"), (out / "croissant.json").read_text("utf-8")
    assert report.draft
    assert "> **DRAFT.** It is not for publishing." in card
    assert "This is a DRAFT. Publish no numbers on it." in card
    assert json.loads(croissant)["description"].startswith("DRAFT, not for publishing. ")
    assert [text for text in ("lack their checks", "without 0") if text in card or text in croissant] == []


HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](http://evil/x.png)",
    "# heading",
    "- list\n- list",
    "1. list",
    "2) list",
    "a\n---\nb",
    "a\n===\nb",
    "> quote",
    "| a | b |\n|---|---|\n| c | d |",
    "```\ncode\n```",
    "    indented",
    "&lt;b&gt; &copy;",
    "*a* _b_ `c` ~~d~~ $e$ \\*",
    "<https://evil>",
    "[ref]: http://evil",
    "back\\slash \\",
)


def shown(text):
    """What Markdown makes of a text: its tags, and the words."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    tags, words = set(), []
    for token in tokens:
        tags.add(token.type.split("_")[0])
        for child in token.children or ():
            tags.add(child.type)
            words.append(child.content if child.type in ("text", "text_special") else " ")
    return tags - {"paragraph", "inline", "text", "text_special", "softbreak"}, "".join("".join(words).split())


@pytest.mark.parametrize("text", HOSTILE)
def test_what_users_wrote_is_shown_as_they_wrote_it(text):
    assert shown(escape(text)) == (set(), "".join(text.split()))


@given(st.text(st.sampled_from("a1 .)-+#>|*_`~[]()<>!&;$=\\\n\t:/\"'"), max_size=30))
def test_no_text_becomes_markdown(text):
    assert shown(escape(text)) == (set(), "".join(text.split()))


def test_hostile_settings_neither_break_the_front_matter_nor_the_card(make_workspace, out):
    hostile = "\n\n".join(HOSTILE)
    release = {**FULL, "description": hostile, "creators": HOSTILE, "licence": "a: b\n---\n", "citation": hostile}
    release["url"] = "javascript:alert(1)"
    make_release(decided_workspace(make_workspace, release=release), out)
    _, front, card = (out / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert yaml.safe_load(front)["license"] == "other"
    tokens = MarkdownIt("commonmark").enable("table").parse(card)
    links = {child.attrGet("href") for token in tokens for child in token.children or () if child.type == "link_open"}
    assert links == {"https://arxiv.org/abs/2406.09414"}
    assert not [token for token in tokens if token.type.startswith("html")]
    (fence,) = [token for token in tokens if token.type == "fence" and token.info == "bibtex"]
    assert fence.content.split() == hostile.split()


@pytest.mark.parametrize(
    ("licence", "front"),
    [
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("ODbL-1.0", {"license": "odbl"}),
        ("LicenseRef-Lab", {"license": "other", "license_name": "licenseref-lab"}),
        ("https://lab.org/l", {"license": "other", "license_link": "https://lab.org/l"}),
    ],
)
def test_the_front_matter_says_the_licence_in_the_hub_s_words(make_workspace, out, licence, front):
    make_release(decided_workspace(make_workspace, release={**FULL, "licence": licence}), out)
    assert front.items() <= yaml.safe_load((out / "README.md").read_text("utf-8").split("---\n")[1]).items()


def test_the_hub_s_own_reader_reads_the_card(workspace, out):
    hub = pytest.importorskip("huggingface_hub")
    make_release(workspace, out)
    card = hub.DatasetCard.load(out / "README.md")
    assert card.data.license == "cc-by-4.0"
    assert card.data.to_dict()["configs"][0]["data_files"] == "provenance.parquet"
