"""Parsing of HTML pages."""

from html.parser import HTMLParser


class Elements(HTMLParser):
    """The start tags of a page and its text outside scripts."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if not self.cdata_elem:
            self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def words(text: str) -> str:
    """The text of a page, on one line."""
    return " ".join(" ".join(Elements(text).words).split())
