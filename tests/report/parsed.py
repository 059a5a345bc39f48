"""A report's page, read as a browser reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

_VOID = {"meta", "link", "input", "br", "img"}


@dataclass
class Page(HTMLParser):
    """The page's elements; every one that is opened must be closed in its turn."""

    text: dict[str, str] = field(default_factory=dict)
    tables: list[list[list[str]]] = field(default_factory=list)
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)
    section: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        if tag not in _VOID:
            self.stack.append(tag)
        if tag == "section":
            self.section = found["id"]
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in {"th", "td"}:
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag
        if tag == "section":
            self.section = ""

    def handle_data(self, data: str) -> None:
        self.text[self.section] = self.text.get(self.section, "") + data
        if {"th", "td"} & set(self.stack):
            self.tables[-1][-1][-1] += data

    def all_of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def labels(self) -> list[str]:
        """What each picture shows, in words."""
        return [svg["aria-label"] for svg in self.all_of("svg") if "aria-label" in svg]


def parsed(what: Path | str) -> Page:
    """Read a page's file, or the text of some of its sections."""
    page = Page()
    page.feed(what if isinstance(what, str) else what.read_text(encoding="utf-8"))
    page.close()
    assert page.stack == []
    return page
