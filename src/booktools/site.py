"""A Sphinx extension: makes the written site fast and private, and its figures follow the theme.

The theme loads a dozen style sheets and scripts and half a megabyte of icons on every page. Once
all pages are written, their styles and scripts are bundled under names that carry a hash of what is
in them, unused rules and icons go, and a content security policy keeps every request at home.
"""

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

from . import style
from .mathematics import HERE, katex, node

logging.getLogger("fontTools").setLevel(logging.WARNING)
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)
SHEET = re.compile(r'\s*<link [^>]*href="([^"?]*)[^"]*"[^>]*rel="stylesheet"[^>]*/?>')
SHEET_2 = re.compile(r'\s*<link rel="stylesheet"[^>]*href="([^"?]*)[^"]*"[^>]*/?>')
PRELOAD = re.compile(r'\s*<link rel="preload"[^>]*/?>')
SCRIPT = re.compile(r"\s*<script\b([^>]*)>(.*?)</script>", re.DOTALL)
HANDLER = re.compile(r' onclick="[^"]*"')  # the policy refuses them; page.js listens instead
IMAGE = re.compile(r'<img\b[^>]*\bsrc="([^"]+\.svg)"[^>]*>')
# Left out of the bundle: half a megabyte of icons, live code on other people's servers, tabs.
UNWANTED = ("fontawesome.js", "sphinx-thebe.js", "sphinx-thebe.css", "design-tabs.js")
# Only the search page needs these.
SEARCH = ("searchindex.js", "searchtools.js", "language_data.js")
# What the theme's pages set inline, in the order in which the scripts expect it.
SETTINGS = """
let toggleHintShow = "Show", toggleHintHide = "Hide", toggleOpenOnPrint = "true";
let togglebuttonSelector = ".toggle, .admonition.dropdown";
"""
THEME = """
(function () {
  const root = document.documentElement;
  const mode = localStorage.getItem("mode") || "auto";
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.mode = mode;
  root.dataset.theme = mode === "auto" ? (dark ? "dark" : "light") : mode;
})();
"""


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Work over the written site, if it was written."""
    if exception is not None or app.builder.name != "html" or katex(Path(app.confdir)) is None:
        return
    root = Path(app.outdir)
    pages = {path: path.read_text() for path in sorted(root.rglob("*.html"))}
    sheets = gather(root, pages, SHEET, SHEET_2)
    scripts = gather(root, pages, re.compile(r'<script\b[^>]*\bsrc="([^"?:]*)[^"]*"'))
    bundled = [path for path in scripts if path.name not in SEARCH]
    style_name = bundle_styles(root, sheets, [*pages, *bundled, HERE / "page.js"])
    script = SETTINGS + joined([*bundled, HERE / "page.js"])
    script_name = named(root / "_static", "book.js", script)
    theme_name = named(root / "_static", "theme.js", THEME)
    dark_figures(root)
    for path, text in pages.items():
        up = "../" * len(path.relative_to(root).parent.parts)
        if path.name == "404.html":
            up = app.config.notfound_urls_prefix
        path.write_text(page(text, root, path, up, theme_name, style_name, script_name))
    clean(root, {*sheets, *bundled})


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
    (folder / name).write_text(text)
    return name


def joined(scripts: list[Path]) -> str:
    """All scripts in one, each a statement of its own, without the names of source maps."""
    texts = [re.sub(r"//# sourceMappingURL=.*", "", path.read_text()) for path in scripts]
    return "\n;\n".join(texts)


def bundle_styles(root: Path, sheets: list[Path], users: list[Path]) -> str:
    """One style sheet with the rules in use; icon fonts cut down to the icons in use."""
    static = root / "_static"
    last = sorted(sheets, key=lambda path: path.name == "book.css")
    whole = "\n".join(moved(path, static) for path in last)
    sheet = static / "all.css"
    sheet.write_text(whole)
    command = [str(node()), str(HERE / "purge.mjs"), str(sheet), *map(str, users)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    sheet.unlink()
    return named(static, "book.css", subset_icons(text, static))


def moved(sheet: Path, static: Path) -> str:
    """The text of a style sheet, with its addresses told from the static folder."""

    def address(match: re.Match[str]) -> str:
        target = match[1].strip("\"'")
        if target.startswith(("data:", "#", "http")):
            return match[0]
        file = (sheet.parent / re.split("[?#]", target)[0]).resolve()
        return f"url({file.relative_to(static)})"

    def imported(match: re.Match[str]) -> str:
        file = sheet.parent / match[1]
        return moved(file, static) if file.is_file() else ""

    text = re.sub(r"/\*# sourceMappingURL=.*?\*/", "", sheet.read_text())
    text = re.sub(r"url\(([^)]*)\)", address, text)
    return re.sub(r"@import (?:url\()?[\"']?([^\"');]+)[\"']?\)?;", imported, text)


def subset_icons(css: str, static: Path) -> str:
    """Cut each icon font to the glyphs that rules still name; drop fonts with none."""
    glyphs = {int(code, 16) for code in re.findall(r'"\\([0-9a-f]{4})"', css)}

    def face(match: re.Match[str]) -> str:
        if not (found := re.search(r"url\((vendor/fontawesome/[^)]*\.woff2)\)", match[0])):
            return match[0]
        font = TTFont(static / found[1])
        wanted = glyphs & set(font.getBestCmap())
        if not wanted or ("brands" in found[1] and "fa-brands" not in css):
            return ""
        subsetter = subset.Subsetter(subset.Options(hinting=False, layout_features=[]))
        subsetter.populate(unicodes=wanted)
        subsetter.subset(font)
        font.flavor = "woff2"
        font.recalcTimestamp = False
        data = BytesIO()
        font.save(data)
        name = f"icons.{hashlib.sha256(data.getvalue()).hexdigest()[:10]}.woff2"
        (static / name).write_bytes(data.getvalue())
        return re.sub(r"src:[^;}]*", f'src:url({name}) format("woff2")', match[0])

    return re.sub(r"@font-face\s*{[^}]*}", face, css)


def dark_figures(root: Path) -> None:
    """Beside each figure, its twin for the dark theme: the same lines in lighter colours."""
    for figure in sorted((root / "_images").glob("*.svg")):
        text = figure.read_text()
        for light, dark in style.IN_THE_DARK.items():
            text = text.replace(light, dark)
        figure.with_suffix(".dark.svg").write_text(text)


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
        size = re.search(r'<svg[^>]*?height="([\d.]+)pt"[^>]*?width="([\d.]+)pt"', file.read_text())
        plain = match[0]
        if size:
            height, width = (round(float(value) * 4 / 3) for value in size.groups())
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
    text = IMAGE.sub(image, SCRIPT.sub(keep, text))
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<script src="{up}_static/{theme}"></script>\n'
        f'<link rel="stylesheet" href="{up}_static/{sheet}">\n'
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
    for name in ("vendor", "locales", "webpack-macros.html", "sbt-webpack-macros.html"):
        target = static / name
        shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
    for path in [*static.rglob("*.map"), *(static / name for name in UNWANTED)]:
        path.unlink(missing_ok=True)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", finish, priority=900)
    return {"parallel_read_safe": True}
