"""The files of the site, without a browser: links, figures, policy, valid HTML."""

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup
from conftest import ROOT

# What vnu says of markup that is the theme's or a library's, and why it may stay.
KNOWN = {
    "Trailing slash on void elements has no effect": "how Sphinx and the theme write them",
    "Section lacks heading": "sphinx-proof puts the title of a theorem before its section",
    "Article lacks heading": "the theme's article holds Sphinx's section, which has the heading",
    "Consider using the “h1” element as a top-level heading only": "the same heading, for print",
    "The “main” role is unnecessary": "the theme's, for old browsers",
    "Resource violates Content Security Policy": "vnu takes a file's folder for another host",
    "Document uses the Unicode Private Use Area": "the stroke of KaTeX's \\ne is in its own font",
}


@cache
def soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@cache
def anchors(path: Path) -> set[str]:
    return {place["id"] for place in soup(path).find_all(id=True)}


def test_links_and_fragments_resolve(site: Path, page: str) -> None:
    broken = []
    links = [
        (place.name, place[key])
        for key in ("href", "src")
        for place in soup(site / page).find_all(**{key: True})
    ]
    assert links
    for name, link in links:
        url = urlsplit(link)
        if url.scheme or url.netloc:
            if name not in ("a", "link") and not link.startswith("data:"):
                broken.append(f"<{name}> loads {link}")
            continue
        target = (site / page).parent / unquote(url.path) if url.path else site / page
        if not target.is_file() or not target.resolve().is_relative_to(site):
            broken.append(f"{link}: no such file")
        elif (
            url.fragment
            and target.suffix == ".html"
            and unquote(url.fragment) not in anchors(target)
        ):
            broken.append(f"{link}: no such place")
    assert broken == []


def test_styles_load_what_exists(site: Path) -> None:
    sheets = list(site.rglob("*.css"))
    assert sheets
    missing = [
        f"{sheet.name}: {target}"
        for sheet in sheets
        for target in re.findall(r"url\([\"']?([^\"')]+)", sheet.read_text(encoding="utf-8"))
        if not target.startswith(("data:", "#")) and not (sheet.parent / target).is_file()
    ]
    assert missing == []


def test_figures_are_described_and_sized(site: Path, page: str) -> None:
    """A description is a sentence: some words, the first with a capital, a full stop at the end."""
    bad = [
        str(image)
        for image in soup(site / page).find_all("img")
        if not re.fullmatch(r"[A-Z\d].{15,}[.?!]", image.get("alt", ""), re.DOTALL)
        or len(image["alt"].split()) < 4
        or not (image.get("width", "").isdigit() and image.get("height", "").isdigit())
    ]
    assert bad == []


def test_policy_comes_before_anything_is_loaded(site: Path, page: str) -> None:
    head = soup(site / page).head
    assert head is not None
    policy = head.find("meta", attrs={"http-equiv": "Content-Security-Policy"})
    assert policy is not None
    rules = dict(rule.split(maxsplit=1) for rule in policy["content"].split("; "))
    assert rules["default-src"] == "'self'"
    assert not re.search(r"http|\*|unsafe-eval", policy["content"])
    assert "unsafe-inline" not in rules.get("script-src", rules["default-src"])
    assert policy.find_previous(["script", "link", "style", "img"]) is None


def test_html_is_valid(site: Path) -> None:
    vnu = ROOT / "node_modules/vnu-jar/build/dist/vnu.jar"
    pages = [str(path) for path in sorted(site.rglob("*.html"))]
    command = ["java", "-jar", str(vnu), "--format", "json", "--exit-zero-always", *pages]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    messages = json.loads(result.stderr)["messages"]
    said = [
        (
            Path(message["url"]).name,
            message.get("lastLine"),
            message["message"],
            message.get("extract"),
        )
        for message in messages
        if message["type"] == "error" or not message["message"].startswith(tuple(KNOWN))
    ]
    assert messages
    assert said == []
