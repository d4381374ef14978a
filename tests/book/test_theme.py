"""The theme: its colours, its bundles, its fonts, its figures, and what stays of a written site."""

import json
import re
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from fontTools.ttLib import TTFont
from sphinx.errors import ExtensionError

from booktools import bundle, explorables, images, palette, site, style, theme

ROOT = Path(__file__).parents[2]
THEME = bundle.THEME
DRAWING = '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" {}><path/></svg>'


# The palette


def luminance(colour):
    """Of a colour #rrggbb, as WCAG 2.2 defines it."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_what_carries_text_is_read_on_both_grounds(theme):
    names = {*palette.COLOURS} - {"paper", "panel", "line"}
    for ground in ("paper", "panel"):
        on = palette.COLOURS[ground][theme]
        faint = {name for name in names if contrast(palette.COLOURS[name][theme], on) < 4.5}
        assert faint == set()


def test_no_style_has_a_colour_of_its_own():
    for sheet in (*THEME.glob("*.css"), *explorables.FOLDER.glob("*.css")):
        rules = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert re.findall(r"#[0-9a-f]{3,8}\b(?![^{]*\{)", rules) in ([], ["#000"]), sheet.name


def test_every_variable_of_the_styles_is_set():
    sheets = [*THEME.glob("*.css"), *explorables.FOLDER.glob("*.css")]
    text = palette.css() + "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)
    text += (ROOT / "src/booktools/deferred.py").read_text(encoding="utf-8")
    used = {*re.findall(r"var\((--[\w-]+)", text)}
    assert used - {*re.findall(r"(--[\w-]+):", text)} == set()


def test_figures_are_drawn_in_the_palette():
    assert palette.IN_THE_DARK[style.BLUE] == palette.COLOURS["blue"][1]
    drawn = (style.INK, style.GREY, style.BLUE, style.VERMILLION, style.GREEN, style.PURPLE)
    assert {*drawn} <= {*palette.IN_THE_DARK}


# Bundles


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """The bundles of all pages, with a font for two characters."""
    folder = tmp_path_factory.mktemp("bundles")
    faces = bundle.font_faces(ROOT, {ord("h"), ord("𝔤")}, folder / "fonts")
    texts = {"book:palette": palette.css(), "book:fonts": faces}
    return folder / "made", bundle.run(ROOT, bundle.ENTRIES, texts, folder / "made")


def test_there_is_one_style_sheet_and_one_script_one_that_runs_first_and_what_searches(bundles):
    folder, names = bundles
    assert {name for name in names if not name.endswith(".woff2")} == {
        *("book.css", "book.js", "first.js", "finder.js")
    }
    assert {path.name for path in folder.iterdir()} == {*names.values()}


def test_a_name_carries_the_hash_of_its_content(bundles, tmp_path):
    _, names = bundles
    assert re.fullmatch(r"first\.[0-9a-f]{10}\.js", names["first.js"])
    (tmp_path / "first.js").write_text("console.log(1);")
    other = bundle.run(ROOT, [tmp_path / "first.js"], {}, tmp_path / "made")
    assert other["first.js"] != names["first.js"]
    assert (
        bundle.run(ROOT, [bundle.ENTRIES[2]], {}, tmp_path / "again")["first.js"]
        == names["first.js"]
    )


def test_bundles_are_made_again_after_a_change_of_sources_or_characters_and_not_before(
    tmp_path, monkeypatch
):
    calls = []

    def run(root, entries, texts, folder):
        folder.mkdir(parents=True)
        calls.append(texts["book:fonts"])
        return {"book.css": f"book.{len(calls)}.css"}

    monkeypatch.setattr(bundle, "run", run)
    monkeypatch.setattr(bundle, "font_faces", lambda root, wanted, folder: f"{sorted(wanted)}")
    monkeypatch.setattr(bundle, "files", lambda here: [tmp_path / "a.js"])
    (tmp_path / "a.js").write_text("1;")
    (tmp_path / "package-lock.json").write_text("{}")

    def made(*wanted):
        return json.loads(
            (bundle.kept(tmp_path, {*wanted}, tmp_path / "kept") / bundle.RECORD).read_text()
        )["book.css"]

    assert [made(2, 1), made(1, 2), made(1)] == ["book.1.css", "book.1.css", "book.2.css"]
    (tmp_path / "a.js").write_text("2;")
    assert made(1) == "book.3.css"
    (tmp_path / "package-lock.json").write_text("{ }")
    assert [made(1), made(1)] == ["book.4.css", "book.4.css"]
    assert calls == ["[1, 2]", "[1]", "[1]", "[1]"]


def test_bundles_ask_no_other_host_and_are_small(bundles):
    folder, names = bundles
    texts = {
        name: (folder / names[name]).read_text(encoding="utf-8")
        for name in names
        if "woff" not in name
    }
    assert not any(re.search(r"https?://(?!www\.w3\.org)|@import", text) for text in texts.values())
    fontless = re.sub(r"url\(data:[^)]*\)", "", texts["book.css"])
    assert len(fontless) < 45_000
    assert len(texts["book.js"]) + len(texts["first.js"]) < 15_000


def test_the_style_sheet_has_each_font_once_and_only_files_that_are_there(bundles):
    folder, names = bundles
    css = (folder / names["book.css"]).read_text(encoding="utf-8")
    faces = re.findall(r"@font-face\{font-family:(\w+)", css)
    assert "KaTeX_Math" in faces
    assert len(faces) == css.count("@font-face")
    files = re.findall(r'url\("?\./?([^)"]+)', css)
    assert files
    assert all((folder / file).is_file() for file in files)


def test_a_mistake_in_a_style_or_script_stops_the_build(tmp_path):
    (tmp_path / "book.js").write_text('import "./nowhere.js";')
    with pytest.raises(ExtensionError, match=r"cannot be joined:\n(.|\n)*nowhere\.js"):
        bundle.run(ROOT, [tmp_path / "book.js"], {}, tmp_path / "made")


def test_a_katex_whose_style_has_changed_stops_the_build(tmp_path):
    (tmp_path / "katex.min.css").write_text(".katex { color: red }")
    with pytest.raises(ExtensionError, match="got no @font-face"):
        bundle.run(ROOT, [tmp_path / "katex.min.css"], {}, tmp_path / "made")


def test_a_katex_without_fonts_stops_the_build(tmp_path):
    with pytest.raises(ExtensionError, match="got no fonts"):
        bundle.font_faces(tmp_path, {ord("h")}, tmp_path / "fonts")


def test_a_font_keeps_the_characters_that_are_used_and_the_same_bytes():
    source = ROOT / "node_modules/katex/dist/fonts/KaTeX_Main-Regular.woff2"
    data = bundle.cut(source, {ord("h"), ord("λ"), ord("☃")})
    assert {*TTFont(BytesIO(data)).getBestCmap()} == {ord("h")}
    assert data == bundle.cut(source, {ord("h")})
    assert bundle.cut(source, {ord("☃")}) == b""


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("Main-BoldItalic", "font-family:KaTeX_Main;font-weight:700;font-style:italic;"),
        ("Size1-Regular", "font-family:KaTeX_Size1;font-weight:400;font-style:normal;"),
    ],
)
def test_a_font_is_named_as_katex_names_it(name, rule, tmp_path):
    fonts = ROOT / "node_modules/katex/dist/fonts"
    css = (ROOT / "node_modules/katex/dist/katex.min.css").read_text(encoding="utf-8")
    made = bundle.font_face(fonts / f"KaTeX_{name}.woff2", {ord("("), ord("h")}, tmp_path)
    assert rule in made
    (own,) = (
        face for face in re.findall("@font-face{[^}]*}", css) if f"KaTeX_{name}.woff2" in face
    )
    for part in rule.rstrip(";").split(";"):  # in KaTeX's own words
        wanted = part.replace("700", "(700|bold)").replace("400", "(400|normal)")
        assert re.search(wanted.replace(":", ':"?'), own)


# Figures


def test_a_drawing_has_its_size_in_pixels_whatever_comes_first(tmp_path):
    drawing = tmp_path / "drawing.svg"
    for given in ('width="504pt" height="244.8pt"', 'height="244.8pt" width="504pt"'):
        drawing.write_text(DRAWING.format(given))
        assert images.size(drawing) == (672, 326)


def test_a_drawing_without_a_size_is_named(tmp_path):
    drawing = tmp_path / "drawing.svg"
    drawing.write_text(DRAWING.format('width="3em"'))
    with pytest.raises(
        ValueError, match=r"drawing.svg: got width '3em' and height '', needs .* points"
    ):
        images.size(drawing)


def test_a_drawing_is_written_for_both_themes(tmp_path):
    (tmp_path / "plot.svg").write_text(
        DRAWING.format(f'width="75pt" height="15pt" fill="{style.BLUE}"')
    )
    builder = SimpleNamespace(
        name="html",
        srcdir=tmp_path,
        outdir=tmp_path / "html",
        imagedir="_images",
        imgpath="../_images",
        images={"plot.svg": "plot 1.svg"},
    )
    builder.outdir.mkdir()
    body = []
    translator = SimpleNamespace(
        builder=builder, body=body, emptytag=lambda node, tag, suffix, **given: given
    )
    images.visit_image(translator, images.nodes.image(uri="plot.svg", alt="A line."))
    light, dark = body
    assert (light["CLASS"], dark["CLASS"]) == ("in-light", "in-dark")
    assert (light["src"], dark["src"]) == (
        "../_images/plot%201.svg",
        "../_images/plot%201.dark.svg",
    )
    for given in body:
        assert (given["alt"], given["width"], given["height"]) == ("A line.", 100, 20)
    twin = (builder.outdir / "_images/plot 1.dark.svg").read_text()
    assert palette.IN_THE_DARK[style.BLUE] in twin
    assert style.BLUE not in twin
    images.visit_image(translator, images.nodes.image(uri="plot.svg"))  # others warn of that
    assert [given["alt"] for given in body[2:]] == ["", ""]


# The site


def test_files_that_nothing_names_do_not_stay(tmp_path):
    static = tmp_path / "_static"
    (static / "library").mkdir(parents=True)
    named = (
        '<link href="_static/book.css"><script src="_static/book.js"><script src="_static/a.js">'
    )
    (tmp_path / "page.html").write_text(named)
    (static / "book.css").write_text("url(font.woff2)")
    (static / "book.js").write_text('"index.js"')
    for name in ("a.js", "font.woff2", "index.js", "b.js", "library/c.js"):
        (static / name).touch()
    site.sweep(tmp_path)
    kept = {"book.css", "book.js", "a.js", "font.woff2", "index.js"}
    assert {path.name for path in static.rglob("*")} == kept


def test_the_root_sends_to_the_front_page_within_the_policy(tmp_path):
    config = SimpleNamespace(root_doc="book/index", html_title="A book")
    app = SimpleNamespace(builder=SimpleNamespace(name="html"), outdir=tmp_path, config=config)
    (tmp_path / "_static").mkdir()
    site.finish(app, None)
    root = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'content="0; url=book/index.html"' in root
    assert theme.POLICY in root
    (tmp_path / "index.html").unlink()
    site.finish(app, RuntimeError())
    assert not (tmp_path / "index.html").exists()
