"""The pages on which people answer, as Label Studio's labelling interfaces; and whether a project has ours."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from da2k.annotation.tasks import Kind
from da2k.construction.settings import Mode

Likeness = Literal["same", "style", "other"]

POINT, NEARER, FARTHER = "point", "nearer", "farther"
"""The control of the interface "photos" in which a person marks two points, and its labels."""
NONE, NO_PAIR = "none", "no clear pair"
"""Its control for a photograph that offers no pair, and the one thing that it can hold."""

_FOLDER = Path(__file__).with_name("interfaces")
_REVIEW = "first"
"""The class of what is shown in review only: the first answer."""
_CHOSEN = ("Choice", "Label")
_OF_A_CONTROL = ("name", "toName", "value", "alias", "choice", "maxUsages")
_DATA = re.compile(r"\$(\w+)")


def interface(kind: Kind, mode: Mode) -> str:
    """The labelling interface of a project.

    Args:
        kind: what its tasks ask.
        mode: in review, the first answer of a pair, the task's `first`, is shown above the question.
    """
    root = ElementTree.fromstring((_FOLDER / f"{kind}.xml").read_text(encoding="utf-8"))
    if mode != "review":
        for parent in list(root.iter()):
            for child in [each for each in parent if each.get("className") == _REVIEW]:
                parent.remove(child)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")


def same_interface(xml: str, kind: Kind, mode: Mode) -> Likeness:
    """Whether a project's interface is ours.

    Returns:
        "same"; "style", if it looks otherwise, but asks the same about the same data; else "other".
    """
    try:
        found = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return "other"
    ours = ElementTree.fromstring(interface(kind, mode))
    if _canonical(found) == _canonical(ours):
        return "same"
    return "style" if sorted(_asked(found)) == sorted(_asked(ours)) else "other"


def _canonical(root: Element) -> str:
    return ElementTree.canonicalize(ElementTree.tostring(root, encoding="unicode"), strip_text=True)


def _asked(root: Element, control: str = "") -> Iterator[tuple[str, ...]]:
    """What makes up an answer: controls, what each can hold, and the data that is shown."""
    for element in root:
        if "toName" in element.attrib or element.tag in _CHOSEN:
            told = (f"{name}={element.get(name)}" for name in _OF_A_CONTROL if element.get(name) is not None)
            yield (control, element.tag, *told)
        elif "name" in element.attrib:
            yield ("", element.tag, element.attrib["name"])
        yield from (("", "data", element.tag, key) for value in element.attrib.values() for key in _DATA.findall(value))
        yield from _asked(element, element.get("name", control) if "toName" in element.attrib else control)
