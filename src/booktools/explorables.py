"""A Sphinx extension: figures that move, on the pages that have them.

A code cell tagged ``explorable-NAME`` draws a static figure; ``NAME.mjs`` replaces it in browsers
that run scripts. The sources are modules, but browsers refuse modules from ``file://``, and the
book is also read from a folder. So classic scripts are made of them: one of what all explorables
share, and one for each. Joining short modules in a known order takes a few lines here; terser
shortens the names. A bundler would be a binary for each platform, and repeat the shared part.
"""

import re
import subprocess
from functools import cache
from pathlib import Path

from sphinx.application import Sphinx

from .mathematics import node
from .site import named

FOLDER = Path("book/_static/explorables")
SHARED = ("arithmetic", "shared")
NAMES = ("summands", "network", "matrix")
IMPORT = re.compile(r"^import\s[^;]*;\n", re.MULTILINE)
EXPORT = re.compile(r"^export (?:const|function) (\w+)", re.MULTILINE)
TAG = re.compile(r'class="[^"]*\btag_explorable-(\w+)')


@cache
def scripts(root: Path) -> dict[str, str]:
    """The scripts by name: ``shared``, to be loaded first, and one for each explorable.

    Without Node or terser they are as long as their sources, and work as well.
    """
    source = {
        name: IMPORT.sub("", (root / FOLDER / f"{name}.mjs").read_text(encoding="utf-8"))
        for name in SHARED + NAMES
    }
    shared = "\n".join(source[name] for name in SHARED)
    names = ", ".join(EXPORT.findall(shared))
    made = {"shared": f"const explorables = (() => {{\n{shared}\nreturn {{ {names} }};\n}})();\n"}
    made |= {name: f"(({{ {names} }}) => {{\n{source[name]}\n}})(explorables);\n" for name in NAMES}
    return {name: short(root, re.sub("^export ", "", made[name], flags=re.M)) for name in made}


def short(root: Path, script: str) -> str:
    """The script with short local names and no comments, if terser is installed."""
    terser = root / "node_modules" / "terser" / "bin" / "terser"
    if not (node() and terser.is_file()):
        return script
    command = [str(node()), str(terser), "--compress", "passes=2,unsafe_arrows", "--mangle"]
    return subprocess.run(
        command, input=script, check=True, capture_output=True, encoding="utf-8"
    ).stdout


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Let each written page load the explorables that it has, and no other page any."""
    if exception is not None or app.builder.name != "html":
        return
    root, static = Path(app.outdir), Path(app.outdir) / "_static"
    target = static / "explorables"
    target.mkdir(parents=True, exist_ok=True)
    for source in (Path(app.confdir) / FOLDER).glob("*"):
        # copied with all that is static; the page loads what is made here
        (target / source.name).unlink(missing_ok=True)
    if app.config.only_pages:  # into a site that has them
        sheet = next(target.glob("explorables.*.css")).name
        files = {path.name.partition(".")[0]: path.name for path in target.glob("*.js")}
    else:
        style = (Path(app.confdir) / FOLDER / "explorables.css").read_text(encoding="utf-8")
        sheet = named(target, "explorables.css", style)
        made = scripts(Path(app.confdir))
        files = {name: named(target, f"{name}.js", text) for name, text in made.items()}
    for page in sorted(root.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        if not (found := TAG.findall(text)) or sheet in text:  # done before
            continue
        folder = "../" * len(page.relative_to(root).parent.parts) + "_static/explorables/"
        head = f'<link rel="stylesheet" href="{folder}{sheet}">\n' + "".join(
            f'<script defer src="{folder}{files[name]}"></script>\n'
            for name in dict.fromkeys(["shared", *found])
        )
        page.write_text(text.replace("</head>", f"{head}</head>", 1), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", finish, priority=950)  # after booktools.site, which bundles all
    return {"parallel_read_safe": True}
