"""What the metadata of a distribution takes from its surroundings: addresses, as for the book.

``GITHUB_REPOSITORY`` (owner/name) and ``BOOK_URL`` come from the release workflow, so that a fork's
distribution points to the fork. Without them there are no addresses, and the README stays as it is.
"""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

RELATIVE = re.compile(r"(!?)\[([^]]*)\]\((?!https?:|#)([^)]+)\)")


class Addresses(MetadataHookInterface):
    """The README, its links and pictures made absolute for an index page; the project's URLs."""

    def update(self, metadata: dict[str, Any]) -> None:
        repository, book = os.environ.get("GITHUB_REPOSITORY"), os.environ.get("BOOK_URL")
        text, urls = Path(self.root, "README.md").read_text(encoding="utf-8"), {}
        if book:
            urls["Documentation"] = book
        if repository:
            source, tag = f"https://github.com/{repository}", f"v{metadata['version']}"
            raw = f"https://raw.githubusercontent.com/{repository}/{tag}"
            urls |= {
                "Source": source,
                "Issues": f"{source}/issues",
                "Changelog": f"{source}/blob/{tag}/CHANGELOG.md",
            }

            def absolute(link: re.Match[str]) -> str:
                image, words, path = link.groups()
                return f"{image}[{words}]({raw if image else f'{source}/blob/{tag}'}/{path})"

            text = RELATIVE.sub(absolute, text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        if urls:
            metadata["urls"] = urls
