"""Reads drawings back: they are XML."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: str) -> ET.Element:
    """Return the root of a drawing; it raises if that is no well-formed XML."""
    return ET.fromstring(svg)  # noqa: S314


def elements(svg: str, name: str, class_: str = "") -> Iterator[ET.Element]:
    """Yield the elements of a name, and of a class without the prefix."""
    for found in parsed(svg).iter(SVG + name):
        if not class_ or f"drawn-{class_}" in found.get("class", "").split():
            yield found


def node(svg: str, path: str) -> ET.Element:
    """Return the drawing of one node."""
    [found] = [one for one in parsed(svg).iter() if one.get("data-path") == path]
    return found


def words(element: ET.Element) -> list[str]:
    """Return what is written, without titles."""
    return [
        (text.text or "") + "".join(inside.tail or "" for inside in text)
        for text in element.iter(SVG + "text")
    ]


def title(element: ET.Element) -> str:
    """Return the title of an element."""
    return element.findtext(SVG + "title") or ""
