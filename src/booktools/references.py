"""A Sphinx extension: sources are listed under the names and years by which the text cites them."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pybtex.backends.plaintext import Backend
from pybtex.database import Entry
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as Plain
from pybtex.style.labels import BaseLabelStyle
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError


class NamesAndYears(BaseLabelStyle):
    """Labels as sphinxcontrib-bibtex writes citations in its style author_year."""

    def format_labels(self, entries: list[Entry]) -> Iterator[str]:
        labels = [f"{names(entry)}, {entry.fields.get('year', 'n.d.')}" for entry in entries]
        twice = [label for label, number in Counter(labels).items() if number > 1]
        if twice:
            raise ExtensionError(
                f"sources: got more than one {twice[0]}, needs years such as 2017a and 2017b"
            )
        yield from labels


def names(entry: Entry) -> str:
    """Last names: of one, of two, of the first of more."""
    people = entry.persons.get("author") or entry.persons["editor"]
    last = [
        " ".join(map(str, [*person.rich_prelast_names, *person.rich_last_names]))
        for person in people
    ]
    return " and ".join(last) if len(last) < 3 else f"{last[0]} et al."


class Style(Plain):
    """Sorted by name and year, as they are cited."""

    default_label_style = "names_and_years"


def setup(app: Sphinx) -> dict[str, Any]:
    register_plugin("pybtex.style.labels", "names_and_years", NamesAndYears)
    register_plugin("pybtex.style.formatting", "names_and_years", Style)
    # Asked for at each citation, and else looked up in all installed packages each time.
    register_plugin("pybtex.backends", "plaintext", Backend, force=True)
    return {"parallel_read_safe": True}
