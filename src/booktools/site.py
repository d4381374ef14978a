"""A Sphinx extension: makes the written site fast and private, and its figures follow the theme.

The theme loads a dozen style sheets and scripts and half a megabyte of icons on every page. Once
all pages are written, their styles and scripts are bundled under names that carry a hash of what is
in them, unused rules and icons go, and a content security policy keeps every request at home.
"""

import base64
import hashlib
import logging
import re
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

from fontTools import subset
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from . import style
from .mathematics import HERE, node

logging.getLogger("fontTools").setLevel(logging.WARNING)
POLICY = (
    "default-src 'self'; img-src 'self' data:; font-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)
SHEET = re.compile(r'\s*<link [^>]*href="([^"?]*)[^"]*"[^>]*rel="stylesheet"[^>]*/?>')
SHEET_2 = re.compile(r'\s*<link rel="stylesheet"[^>]*href="([^"?]*)[^"]*"[^>]*/?>')
PRELOAD = re.compile(r'\s*<link rel="preload"[^>]*/?>')
SCRIPT = re.compile(r"\s*<script\b([^>]*)>(.*?)</script>", re.DOTALL)
HANDLER = re.compile(r' onclick="[^"]*"')  # the policy refuses them; page.js listens instead
IMAGE = re.compile(r'<img\b[^>]*\bsrc="([^"]+\.svg)"[^>]*>')
# What the theme and Sphinx's libraries write against the rules of HTML and of ARIA.
CORRECTIONS = {
    r'(<button class="btn search-button-field[^>]*?) title="Search" aria-label="Search"': r"\1",
    r'<div id="pst-primary-sidebar"': r'\g<0> role="region" aria-label="Book"',
    r"<title>(.*?) &#8212; \1</title>": r"<title>\1</title>",  # of the front page
    r'<body data-bs-spy="scroll" ': "<body ",  # page.js begins when the reader scrolls
}
# What the theme's scripts do while a page loads that makes it be laid out at once.
THEME_WAITS = {
    # page.js knows what scrolls sideways.
    '"complete"===document.readyState?O():window.addEventListener("load",O)': "0",
    # The header's height, when it is asked for.
    '("bd-header")[0].getBoundingClientRect();': '("bd-header")[0];',
    "this.scrollY>e.bottom?": "this.scrollY>e.offsetHeight?",
}
# Left out of the bundle: half a megabyte of icons, live code on other people's servers, tabs, folds
# made by scripts.
UNWANTED = (
    *("fontawesome.js", "sphinx-thebe.js", "sphinx-thebe.css", "design-tabs.js"),
    *("togglebutton.js", "togglebutton.css"),
)
# Fonts in use on nearly every page, a few kB each: were they to come later, lines would move.
FIRST = re.compile("KaTeX_(Main-Regular|Math-Italic|Size)|fa-")
# Only the search page needs these.
SEARCH = ("searchindex.js", "searchtools.js", "language_data.js")
THEME = """
(function () {
  const root = document.documentElement;
  const mode = localStorage.getItem("mode") || "auto";
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.mode = mode;
  root.dataset.theme = mode === "auto" ? (dark ? "dark" : "light") : mode;
  // The fonts in the style sheet: asked for now, they are ready before the first line is drawn.
  const faces = ["Main", "Size1", "Size2", "Size3", "Size4"].map((name) => `1em KaTeX_${name}`);
  // A page that opens at its top lays out its first screens first; see deferred.py.
  const [visit] = performance.getEntriesByType("navigation");
  if (!location.hash && visit?.type === "navigate") root.classList.add("from-top");
  for (const face of ["italic 1em KaTeX_Math", ...faces]) document.fonts.load(face);
})();
"""
# The root of the site, which sends on to the front page.
ROOT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta http-equiv="refresh" content="0; url={front}">
<title>{title}</title>
<link rel="icon" href="data:,">
</head>
<body><p><a href="{front}">{title}</a></p></body>
</html>
"""


def execute(app: Sphinx, config: Any) -> None:
    """Run what is not kept, as ``make book`` does before it calls Sphinx; Sphinx names mistakes.

    myst-nb by itself runs one notebook after the other, and splits a line that it gets in parts.
    """
    if config.executed:
        return
    from . import build, early  # late: they bring all of Jupyter Book

    root = Path(app.confdir)
    build.execute(root, early.check(root)[0])  # what fails fails again below Sphinx, which says so


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Work over the written site, if it was written."""
    if exception is not None or app.builder.name != "html":
        return
    root = Path(app.outdir)
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.html"))}
    pages = {path: text for path, text in pages.items() if POLICY not in text}  # if not done before
    sheets = gather(root, pages, SHEET, SHEET_2)
    scripts = gather(root, pages, re.compile(r'<script\b[^>]*\bsrc="([^"?:]*)[^"]*"'))
    bundled = [path for path in scripts if path.name not in SEARCH]
    if app.config.only_pages:  # the bundles of the site that stands are theirs, too
        style_name, script_name, theme_name = (
            next((root / "_static").glob(name)).name
            for name in ("book.*.css", "book.*.js", "theme.*.js")
        )
    else:
        style_name = bundle_styles(root, sheets, [*pages, *bundled, HERE / "page.js"])
        script = patient(joined([*bundled, HERE / "page.js"]))
        script_name = named(root / "_static", "book.js", script)
        theme_name = named(root / "_static", "theme.js", THEME)
    dark_figures(root)
    for path, text in pages.items():
        up = "../" * len(path.relative_to(root).parent.parts)
        if path.name == "404.html":
            up = app.config.notfound_urls_prefix
        write(path, page(text, root, path, up, theme_name, style_name, script_name))
    front, title = f"{app.config.root_doc}.html", app.config.html_title
    write(root / "index.html", ROOT.format(policy=POLICY, front=front, title=title))
    clean(root, {*sheets, *bundled})


def write(path: Path, text: str) -> None:
    """The same bytes on every system."""
    path.write_text(text, encoding="utf-8", newline="\n")


def gather(root: Path, pages: dict[Path, str], *patterns: re.Pattern[str]) -> list[Path]:
    """The local files that the pages load, each once, in the order of loading."""
    found: dict[Path, None] = {}
    for path, text in pages.items():
        for pattern in patterns:
            for match in pattern.finditer(text):
                file = (path.parent / match[1]).resolve()
                bundled = file.name not in UNWANTED and file.parent.name != "explorables"
                if match[1] and file.is_file() and bundled:
                    found[file] = None
    return list(found)


def named(folder: Path, name: str, text: str) -> str:
    """Write a file whose name carries a hash of its content; the name."""
    stem, suffix = name.split(".")
    name = f"{stem}.{hashlib.sha256(text.encode()).hexdigest()[:10]}.{suffix}"
    write(folder / name, text)
    return name


def joined(scripts: list[Path]) -> str:
    """All scripts in one, each a statement of its own, without the names of source maps."""
    texts = [
        re.sub(r"//# sourceMappingURL=.*", "", path.read_text(encoding="utf-8")) for path in scripts
    ]
    return "\n;\n".join(texts)


def patient(script: str) -> str:
    """The scripts with what they need not do at once taken out."""
    for eager, later in THEME_WAITS.items():
        if script.count(eager) != 1:
            raise ExtensionError(f"the theme's scripts have changed: {eager}")
        script = script.replace(eager, later)
    return script


def bundle_styles(root: Path, sheets: list[Path], users: list[Path]) -> str:
    """One style sheet with the rules in use; icon fonts cut down to the icons in use."""
    static = root / "_static"
    last = sorted(sheets, key=lambda path: path.name == "book.css")
    whole = "\n".join(moved(path, static) for path in last)
    sheet = static / "all.css"
    write(sheet, whole)
    command = [str(node()), str(HERE / "purge.mjs"), str(sheet), *map(str, users)]
    text = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
    sheet.unlink()
    characters = {ord(one) for path in users for one in path.read_text(encoding="utf-8")}
    return named(static, "book.css", subset_fonts(text, static, characters))


def moved(sheet: Path, static: Path) -> str:
    """The text of a style sheet, with its addresses told from the static folder."""

    def address(match: re.Match[str]) -> str:
        target = match[1].strip("\"'")
        if target.startswith(("data:", "#", "http")):
            return match[0]
        file = (sheet.parent / re.split("[?#]", target)[0]).resolve()
        return f"url({file.relative_to(static).as_posix()})"

    def imported(match: re.Match[str]) -> str:
        file = sheet.parent / match[1]
        return moved(file, static) if file.is_file() else ""

    text = re.sub(r"/\*# sourceMappingURL=.*?\*/", "", sheet.read_text(encoding="utf-8"))
    text = re.sub(r"url\(([^)]*)\)", address, text)
    return re.sub(r"@import (?:url\()?[\"']?([^\"');]+)[\"']?\)?;", imported, text)


def subset_fonts(css: str, static: Path, characters: set[int]) -> str:
    """Cut fonts down: mathematics to the characters of the pages, icons to those that rules name.

    What a page needs before its first lines can stand still comes with the style sheet.
    """
    icons = {int(code, 16) for code in re.findall(r'"\\([0-9a-f]{4})"', css)}

    def face(match: re.Match[str]) -> str:
        if not (found := re.search(r"url\(([^)]*\.woff2)\)", match[0])):
            return match[0]
        path = static / found[1]
        font = TTFont(path, recalcTimestamp=False)
        wanted = (characters if "KaTeX" in path.name else icons) & set(font.getBestCmap())
        if not wanted or ("brands" in path.name and "fa-brands" not in css):
            return ""
        subsetter = subset.Subsetter(subset.Options(hinting=False, layout_features=["*"]))
        subsetter.populate(unicodes=wanted)
        subsetter.subset(font)
        font.flavor = "woff2"
        file = BytesIO()
        font.save(file)
        data = file.getvalue()
        if FIRST.search(path.name):
            address = f"data:font/woff2;base64,{base64.b64encode(data).decode()}"
        else:
            address = f"{path.stem}.{hashlib.sha256(data).hexdigest()[:10]}.woff2"
            (static / address).write_bytes(data)
        return re.sub(r"src:[^}]*?(?=;[\w-]+:|})", f'src:url({address}) format("woff2")', match[0])

    return re.sub(r"@font-face\s*{[^}]*}", face, css)


def dark_figures(root: Path) -> None:
    """Beside each figure, its twin for the dark theme: the same lines in lighter colours."""
    for figure in sorted((root / "_images").glob("*.svg")):
        if figure.name.endswith(".dark.svg"):
            continue
        text = figure.read_text(encoding="utf-8")
        for light, dark in style.IN_THE_DARK.items():
            text = text.replace(light, dark)
        write(figure.with_suffix(".dark.svg"), text)


def page(text: str, root: Path, path: Path, up: str, theme: str, sheet: str, script: str) -> str:
    """A page that loads the three bundles, keeps to its host, and knows its figures' sizes."""

    def keep(match: re.Match[str]) -> str:
        kept = re.search(
            r'src="[^"]*(searchtools|language_data|searchindex|explorables/)', match[1]
        )
        return re.sub(r"<script( defer(=\"\w*\")?)?", "<script defer", match[0]) if kept else ""

    def image(match: re.Match[str]) -> str:
        file = (path.parent / match[1]).resolve()
        if not file.is_file():
            return match[0]
        drawing = re.search(r"<svg[^>]*>", file.read_text(encoding="utf-8"))
        size = dict(re.findall(r' (width|height)="([\d.]+)pt"', drawing[0] if drawing else ""))
        plain = match[0]
        if size:
            width, height = (round(float(size[side]) * 4 / 3) for side in ("width", "height"))
            plain = re.sub(r' style="[^"]*"', "", plain)
            plain = plain.replace("<img", f'<img width="{width}" height="{height}" loading="lazy"')
        if not file.with_suffix(".dark.svg").is_file():
            return plain
        twin = plain.replace(match[1], match[1].removesuffix(".svg") + ".dark.svg")
        return marked(plain, "in-light") + marked(twin, "in-dark")

    def other(match: re.Match[str]) -> str:
        return match[0] if "/explorables/" in match[0] else ""

    for pattern in (SHEET, SHEET_2, PRELOAD, HANDLER):
        text = pattern.sub(other, text)
    for wrong, right in CORRECTIONS.items():
        text = re.sub(wrong, right, text)
    text = IMAGE.sub(image, SCRIPT.sub(keep, text))
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<link rel="stylesheet" href="{up}_static/{sheet}">\n'
        f'<script src="{up}_static/{theme}"></script>\n'
        f'<script defer src="{up}_static/{script}"></script>\n'
    )
    return re.sub(r"(<meta charset[^>]*>)", lambda found: f"{found[1]}\n{head}", text, count=1)


def marked(image: str, name: str) -> str:
    """An image with one class more."""
    if 'class="' in image:
        return image.replace('class="', f'class="{name} ', 1)
    return image.replace("<img", f'<img class="{name}"', 1)


def clean(root: Path, bundled: set[Path]) -> None:
    """Remove what no page loads any more."""
    static = root / "_static"
    for path in bundled:
        path.unlink(missing_ok=True)
    for name in ("vendor", "fonts", "locales", "webpack-macros.html", "sbt-webpack-macros.html"):
        target = static / name
        shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
    unwanted = "*.map", "copybutton_funcs.js", "fontawesome.js.LICENSE.txt", *UNWANTED
    for path in [path for name in unwanted for path in static.rglob(name)]:
        path.unlink()


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("executed", False, "")  # by booktools.build, before it calls Sphinx
    app.connect("config-inited", execute, priority=900)
    app.connect("build-finished", finish, priority=900)
    return {"parallel_read_safe": True}
