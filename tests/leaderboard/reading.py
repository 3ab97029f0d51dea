"""Reading pages as a browser's parser does, and boards that other people filled with attacks."""

import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "link", "input", "wbr", "br"}

ATTACKS = (
    "<script>alert(1)</script>",
    '"onerror="alert(1)" x="',
    "'onmouseover='alert(1)",
    "javascript:alert(1)//",
    "</style><img src=x onerror=alert(1)>",
    "</title><svg onload=alert(1)>",
    "--><iframe src=//evil.example>",
    "{{ 7 * 7 }}{% include 'x' %}",
    "&lt;b&gt; &#x3c;script&#x3e;",
    "]]><a href='data:text/html,x'>",
)


@dataclass
class Parsed(HTMLParser):
    """What a page consists of: elements with attributes, the text outside style and script, and the tables."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), (tag, names)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif not self.open or self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.texts))


def parse(page: Path) -> Parsed:
    parsed = Parsed()
    parsed.feed(page.read_text(encoding="utf-8"))
    parsed.close()
    assert not parsed.open, "every element ends"
    return parsed


def pages_of(site: Path) -> dict[str, Parsed]:
    return {file.relative_to(site).as_posix(): parse(file) for file in sorted(site.rglob("*.html"))}


def shape(pages: dict[str, Parsed]) -> Counter:
    """All elements with the names of their attributes; places where a name may break do not count."""
    return Counter(
        (tag, tuple(sorted(attributes)))
        for parsed in pages.values()
        for tag, attributes in parsed.elements
        if tag != "wbr"
    )


def tamed(text: str) -> str:
    """A harmless text of the same length."""
    return re.sub(r"[^a-z0-9 ]", "x", text)
