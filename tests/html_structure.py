"""What a browser would make of HTML: elements, attributes, comments and text, in order."""

from __future__ import annotations

from html.parser import HTMLParser


class Collected(HTMLParser):
    """Collects everything but text in ``seen``, and the text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[object] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        self.seen.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        self.seen.append(("comment", data))

    def handle_decl(self, decl: str) -> None:
        self.seen.append(("declaration", decl))

    def handle_pi(self, data: str) -> None:
        self.seen.append(("instruction", data))

    def unknown_decl(self, data: str) -> None:
        self.seen.append(("unknown", data))

    def handle_data(self, data: str) -> None:
        self.text += data
