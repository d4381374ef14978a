"""A Sphinx extension: sources are listed under the names and years by which the text cites them."""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

from pybtex.backends.plaintext import Backend
from pybtex.database import Entry
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as Plain
from pybtex.style.labels import BaseLabelStyle
from pybtex.style.template import FieldIsMissing
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError


class NamesAndYears(BaseLabelStyle):
    """Labels as sphinxcontrib-bibtex writes citations in its style author_year."""

    def format_labels(self, entries: list[Entry]) -> Iterator[str]:
        labels = [*map(cited_as, entries)]
        twice = [label for label, number in Counter(labels).items() if number > 1]
        if twice:
            raise ExtensionError(
                f"sources: got more than one {twice[0]}, needs years such as 2017a and 2017b"
            )
        yield from labels


def cited_as(entry: Entry) -> str:
    """What stands for a source in the text."""
    return f"{names(entry)}, {entry.fields.get('year', 'n.d.')}"


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


@cache
def style() -> Style:
    """Which looks for its parts in all installed packages."""
    return Style(NamesAndYears)


def misfit(entry: Entry) -> str:
    """Why a source cannot be listed, if so."""
    if not entry.persons.keys() & {"author", "editor"}:
        return "needs an author or editor"
    if not hasattr(Style, f"get_{entry.type}_template"):
        return f"got @{entry.type}, needs a type that BibTeX knows, such as @article or @misc"
    for field, parts in entry.persons.items():
        for person in parts:
            if "al." in person.last_names or len(person.lineage_names) > 1:
                return (
                    f"{field}: got {person}; names are joined by and, the last ones by and others"
                )
    if not entry.fields.get("doi", "10.").startswith("10."):
        return f"doi: got {entry.fields['doi']}, needs what follows doi.org/"
    try:
        style().format_entry("", entry)
    except FieldIsMissing as error:
        return f"needs {error.field_name}"
    return ""


def setup(app: Sphinx) -> dict[str, Any]:
    register_plugin("pybtex.style.labels", "names_and_years", NamesAndYears)
    register_plugin("pybtex.style.formatting", "names_and_years", Style)
    # Asked for at each citation, and else looked up in all installed packages each time.
    register_plugin("pybtex.backends", "plaintext", Backend, force=True)
    return {"parallel_read_safe": True}
