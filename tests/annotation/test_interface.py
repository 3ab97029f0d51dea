"""The pages on which people answer: what they ask, and whether a project has ours."""

import re
from xml.etree import ElementTree

import pytest

from da2k.annotation.interface import FARTHER, NEARER, NO_PAIR, NONE, POINT, interface, same_interface
from da2k.annotation.tasks import BAD, CLOSER, KINDS, TIE, A, B

MODES = ("independent", "review")
BOTH = [(kind, mode) for kind in KINDS for mode in MODES]


def held(xml: str, control: str) -> list[str]:
    """What a control can hold."""
    (found,) = ElementTree.fromstring(xml).iterfind(f".//*[@name='{control}']")
    return [each.attrib["value"] for each in found]


def data(xml: str) -> set[str]:
    return set(re.findall(r'="\$(\w+)"', xml))


@pytest.mark.parametrize("mode", MODES)
def test_the_controls_hold_what_the_tasks_know(mode):
    pairs, photos = interface("pairs", mode), interface("photos", mode)
    assert held(pairs, CLOSER) == [A, B, TIE, BAD]
    assert held(photos, POINT) == [NEARER, FARTHER]
    assert held(photos, NONE) == [NO_PAIR]
    assert data(photos) == {"image"}


def test_the_first_answer_is_in_the_page_in_review_only():
    shown = {"image", "strip_a", "strip_b"}
    assert data(interface("pairs", "independent")) == shown
    assert data(interface("pairs", "review")) == {*shown, "first"}
    assert "$votes" not in interface("pairs", "review")


@pytest.mark.parametrize(("kind", "mode"), BOTH)
def test_ours_is_known_again_however_it_is_written(kind, mode):
    xml = interface(kind, mode)
    assert same_interface(xml, kind, mode) == "same"
    assert same_interface(re.sub(r">\s+<", "><", xml), kind, mode) == "same"
    assert same_interface(f"<?xml version='1.0'?>\n<!-- ours -->{xml}", kind, mode) == "same"


@pytest.mark.parametrize(("kind", "mode"), BOTH)
def test_another_look_is_no_other_question(kind, mode):
    xml = interface(kind, mode)
    for changed in (
        re.sub("<Style>.*?</Style>", "", xml, flags=re.DOTALL),
        re.sub('<Header value="[^$"]*"', '<Header value="Was ist näher?"', xml),
        re.sub(' hotkey="."', "", xml),
        xml.replace("<View", "<View style='color: red'", 1),
    ):
        assert changed != xml
        assert same_interface(changed, kind, mode) == "style"


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("pairs", 'name="closer"', 'name="nearer"'),
        ("pairs", 'value="tie"', 'value="equal"'),
        ("pairs", 'value="tie"', 'value="tie" alias="equal"'),
        ("pairs", '<Choice value="bad"', '<Choice value="worse"/><Choice value="bad"'),
        ("pairs", 'choice="single-radio"', 'choice="multiple"'),
        ("pairs", 'toName="img"', 'toName="img_a"'),
        ("pairs", 'value="$strip_b"', 'value="$strip_a"'),
        ("pairs", 'value="$image"', 'value="$photo"'),
        ("photos", 'value="nearer"', 'value="closer"'),
        ("photos", "KeyPointLabels", "RectangleLabels"),
        ("photos", ' maxUsages="1"', ""),
        ("photos", 'name="none"', 'name="nothing"'),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_another_question_is_other(kind, mode, old, new):
    xml = interface(kind, mode)
    assert old in xml
    assert same_interface(xml.replace(old, new), kind, mode) == "other"


@pytest.mark.parametrize("xml", ["", "<View/>", "no XML", "<View><Header value='x'/></View>", "<View>"])
@pytest.mark.parametrize(("kind", "mode"), BOTH)
def test_what_is_no_interface_is_other(xml, kind, mode):
    assert same_interface(xml, kind, mode) == "other"


def test_kinds_and_modes_are_told_apart():
    assert same_interface(interface("photos", "independent"), "pairs", "independent") == "other"
    assert same_interface(interface("pairs", "review"), "pairs", "independent") == "other"
    assert same_interface(interface("pairs", "independent"), "pairs", "review") == "other"


@pytest.mark.parametrize(("kind", "mode"), BOTH)
def test_the_server_takes_it_and_keeps_it(studio, kind, mode):
    xml = interface(kind, mode)
    assert studio.api("POST", "/api/projects/validate/", json={"label_config": xml}).status_code == 204
    made = studio.api("POST", "/api/projects", json={"title": "Interface", "label_config": xml}).json()
    kept = studio.api("GET", f"/api/projects/{made['id']}").json()["label_config"]
    assert same_interface(kept, kind, mode) == "same"
