"""What annotators read: rendered safely, from the workspace's file or da2k's own."""

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from da2k.annotation.guidelines import guidelines
from da2k.annotation.interface import interface
from da2k.construction.settings import Settings
from da2k.errors import BadInput

OWN = Path(__file__).resolve().parents[2] / "annotation" / "GUIDELINES.md"


def inside(html: str) -> str:
    """What the Markdown became, without the frame and the style around it."""
    before, _, rest = html.partition("</style>\n")
    assert before.startswith('<div class="da2k-guidelines">\n<style>')
    assert rest.endswith("</div>\n")
    return rest.removesuffix("</div>\n")


class Reader(HTMLParser):
    """The tags of a page, its rows of cells, and its text."""

    def __init__(self, html: str):
        super().__init__()
        self.tags, self.attributes, self.rows, self.texts = set(), [], [], []
        self.feed(inside(html))

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")

    def handle_data(self, data):
        self.texts.append(data)
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def of_file(folder, content: bytes):
    (folder / "rules.md").write_bytes(content)
    return guidelines(folder, naming("rules.md"))


def naming(path: str) -> Settings:
    return Settings.model_validate({"annotation": {"guidelines": path}})


def test_our_own_name_each_answer_with_the_key_that_gives_it(tmp_path):
    rows = [row for row in Reader(guidelines(tmp_path, Settings())).rows if row]
    told = {row[0].strip(): row[1].strip().lower() for row in rows}
    choices = ElementTree.fromstring(interface("pairs", "independent")).iter("Choice")
    shown = {c.get("hotkey"): re.sub("<[^>]*>", "", c.get("html") or "").lower() for c in choices}
    assert len(shown) == 4
    assert told == shown


def test_our_own_name_the_keys_for_choosing_points():
    text = OWN.read_text()
    page = ElementTree.fromstring(interface("photos", "independent"))
    keys = [(e.get("hotkey"), e.get("value")) for e in page.iter() if e.tag in ("Label", "Choice")]
    assert len(keys) == 3
    for key, what in keys:
        assert f"**{key}** ({what})" in text


def test_our_own_are_short_enough_to_be_read_and_speak_of_every_difficulty(tmp_path):
    text = Reader(guidelines(tmp_path, Settings())).text.lower()
    assert len(text.split()) <= 1000  # four minutes
    for what in ("glass", "mirror", "reflection", "water", "thin", "screen", "painting", "sky", "fog", "dark", "blur"):
        assert what in text
    for what in ("edge", "guess", "skip", "first answer", "nearer", "farther"):
        assert what in text


def test_our_own_use_only_what_label_studio_keeps_and_shows(tmp_path):
    page = Reader(guidelines(tmp_path, Settings()))
    assert page.tags <= {"h1", "h2", "p", "ul", "li", "em", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    assert not page.attributes


def test_the_style_reaches_nothing_else_on_the_page(tmp_path):
    style = guidelines(tmp_path, Settings()).partition("</style>")[0].partition("<style>")[2]
    rules = re.findall(r"([^{}]+)\{[^{}]*\}", style)
    assert len(rules) >= 5
    assert all(each.strip().startswith(".da2k-guidelines ") for rule in rules for each in rule.split(","))
    assert not set(style) & {*"<>&"}  # which a filter of HTML would write in another way


def test_a_file_of_the_workspace_comes_in_place_of_ours(tmp_path):
    html = of_file(tmp_path, b"\xef\xbb\xbf# Here\r\n\r\nonly **this**\r\n")
    assert inside(html) == "<h1>Here</h1>\n<p>only <strong>this</strong></p>\n"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert guidelines(elsewhere, naming(str(tmp_path / "rules.md"))) == html


@pytest.mark.parametrize(
    "raw",
    ["<script>alert(1)</script>", "a <img src=x onerror=alert(1)> b", "<iframe src='//x'></iframe>", "<!-- x -->"],
)
def test_html_in_a_file_is_shown_as_text(tmp_path, raw):
    page = Reader(of_file(tmp_path, raw.encode()))
    assert page.tags == {"p"}
    assert raw in page.text


def test_addresses_that_would_run_a_script_are_no_links(tmp_path):
    page = Reader(of_file(tmp_path, b"[a](javascript:alert(1)) [b](data:text/html,x) [c](https://example.org/)"))
    assert page.attributes == [("href", "https://example.org/")]


PIECES = [
    "<script>",
    "</p>",
    "<b onclick=x>",
    "<",
    ">",
    "&lt;",
    "`",
    "    ",
    "\n\n",
    "> ",
    "- ",
    "|",
    "|-|",
    "[a](",
    ")",
    "&#60;",
]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5)).map("".join))
def test_no_text_makes_a_tag_of_its_own(tmp_path_factory, text):
    page = Reader(of_file(tmp_path_factory.mktemp("g"), b"word\n\n" + text.encode(errors="replace")))
    assert not page.tags & {"script", "b", "style", "iframe", "svg", "object", "embed", "form", "input"}
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def refusal(folder, path: str) -> str:
    with pytest.raises(BadInput) as refused:
        guidelines(folder, naming(path))
    message = str(refused.value)
    assert len(message.splitlines()) == 1
    assert "annotation.guidelines" in message
    return message


@pytest.mark.parametrize(
    "content", [b"", b" \n\t\n", b"\xef\xbb\xbf\n", b"[only]: https://example.org/ 'a definition'\n"]
)
def test_an_empty_file_is_refused(tmp_path, content):
    (tmp_path / "rules.md").write_bytes(content)
    assert "rules.md: the guidelines for annotators are empty" in refusal(tmp_path, "rules.md")


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin.md").write_bytes("Nähe".encode("latin-1"))
    assert "No such file" in refusal(tmp_path, "absent.md")
    assert str(tmp_path / "folder") in refusal(tmp_path, "folder")
    assert "not UTF-8 text" in refusal(tmp_path, "latin.md")
    assert "cannot be read" in refusal(tmp_path, "a\0b")
    if os.name == "posix" and os.geteuid() != 0:
        (tmp_path / "latin.md").chmod(0)
        assert "Permission denied" in refusal(tmp_path, "latin.md")
