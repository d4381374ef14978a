"""A Sphinx extension: one style sheet and one script for all pages, and fonts cut down.

esbuild joins and shortens what stands in ``theme``. Fonts of formulas keep the characters that the
formulas of the book have; what the first lines of nearly every page need comes with the style
sheet, or lines would move once it is there.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import Any

from docutils import nodes
from fontTools import subset
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from . import explorables, live, palette
from .cache import digest, files
from .mathematics import HERE, node, typeset

THEME = HERE / "theme"
FINDER = "finder.js"
ENTRIES = [THEME / name for name in ("book.css", "book.js", "first.js", FINDER)]
RECORD = "bundles.json"  # the name of each bundle, with its hash, by its name without
AT_ONCE = re.compile("Main-Regular|Math-Italic|Size")


def bundle(app: Sphinx, builder: Any) -> None:
    """Write the bundles before the pages, which name them; one page alone uses those there."""
    if builder.name != "html":
        return
    output, static = Path(app.doctreedir), Path(app.outdir) / "_static"
    record = output / RECORD
    if not app.config.only_pages:
        made = kept(Path(app.confdir), characters(app), Path(app.outdir).parent / ".bundles")
        names = json.loads((made / RECORD).read_text(encoding="utf-8"))
        # No page loads it as it is: booktools.search puts what can be found before it.
        shutil.copy(made / names.pop(FINDER), output / FINDER)
        static.mkdir(parents=True, exist_ok=True)
        for name in names.values():
            shutil.copy(made / name, static)
        record.write_text(json.dumps(names), encoding="utf-8")
    app.config.bundles = json.loads(record.read_text(encoding="utf-8"))


def kept(root: Path, wanted: set[int], folder: Path) -> Path:
    """The bundles that these sources and characters make; made when one of them has changed.

    They take most of the time of writing a small book, and few edits touch them.
    """
    entries = [*ENTRIES, *explorables.entries(), *live.entries(root)]
    ours = [path for path in files(HERE) if path.suffix != ".py" or path == Path(__file__)]
    chosen = (palette.css(), *map(str, sorted(wanted)), *(entry.name for entry in entries))
    made = folder / digest(root, [*ours, root / "package-lock.json"], *chosen)
    if not (made / RECORD).is_file():
        shutil.rmtree(folder, ignore_errors=True)
        fonts = font_faces(root, wanted, folder / "fonts")
        texts = {"book:palette": palette.css(), "book:fonts": fonts}
        names = run(root, entries, texts, made)
        (made / RECORD).write_text(json.dumps(names), encoding="utf-8")
    return made


def run(root: Path, entries: list[Path], texts: dict[str, str], folder: Path) -> dict[str, str]:
    """Call esbuild; the name of each bundle, with its hash, by its name without."""
    given = {"root": root, "entries": entries, "texts": texts, "folder": folder}
    done = subprocess.run(
        [str(node()), str(HERE / "bundle.mjs")],
        input=json.dumps(given, default=str),
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "NODE_PATH": str(root / "node_modules")},
    )
    if done.returncode:
        raise ExtensionError(f"The styles and scripts cannot be joined:\n{done.stderr}")
    names: dict[str, str] = json.loads(done.stdout)
    return names


def characters(app: Sphinx) -> set[int]:
    """The characters of all formulas of the book, as KaTeX sets them."""
    macros = json.dumps(app.config.math_macros)
    found = set()
    for page in app.env.found_docs:
        tree = app.env.get_doctree(page)
        for formula in (*tree.findall(nodes.math), *tree.findall(nodes.math_block)):
            display = isinstance(formula, nodes.math_block)
            html = typeset(formula.astext(), display, macros).get("html", "")
            found |= {*unescape(re.sub("<[^>]+>", "", html))}
    return {ord(character) for character in found}


def font_faces(root: Path, wanted: set[int], folder: Path) -> str:
    """The rules of KaTeX's fonts, each cut down to these characters and kept in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    source = root / "node_modules" / "katex" / "dist" / "fonts"
    rules = [font_face(font, wanted, folder) for font in sorted(source.glob("*.woff2"))]
    if not rules:
        raise ExtensionError(f"{source}: got no fonts, needs those of KaTeX, as *.woff2")
    return "".join(rules)


def font_face(source: Path, wanted: set[int], folder: Path) -> str:
    """The rule of a font, named as KaTeX does (KaTeX_Main-BoldItalic), if any of it is kept."""
    family, _, style = source.stem.partition("-")
    data = cut(source, wanted)
    if not data:
        return ""
    if AT_ONCE.search(source.stem):
        address = f"data:font/woff2;base64,{base64.b64encode(data).decode()}"
    else:
        file = folder / f"{source.stem}.{hashlib.sha256(data).hexdigest()[:10]}.woff2"
        file.write_bytes(data)
        address = file.as_posix()
    weight = 700 if "Bold" in style else 400
    slant = "italic" if "Italic" in style else "normal"
    return (
        f"@font-face{{font-family:{family};font-weight:{weight};font-style:{slant};"
        f'src:url("{address}") format("woff2")}}'
    )


def cut(source: Path, wanted: set[int]) -> bytes:
    """A font with no more than these characters; empty if it has none of them."""
    font = TTFont(source, recalcTimestamp=False)
    kept = wanted & set(font.getBestCmap())
    if not kept:
        return b""
    subsetter = subset.Subsetter(subset.Options(hinting=False, layout_features=["*"]))
    subsetter.populate(unicodes=kept)
    subsetter.subset(font)
    font.flavor = "woff2"
    file = BytesIO()
    font.save(file)
    return file.getvalue()


def load(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """The bundles that every page loads."""
    names = app.config.bundles
    context |= {
        "styles": [names["book.css"]],
        "scripts": [names["book.js"]],
        "first": names["first.js"],
    }


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("bundles", {}, "")
    app.connect("write-started", bundle)
    app.connect("html-page-context", load)
    return {"parallel_read_safe": True}
