"""A Sphinx extension: a box in each exercise, where the reader's answer is judged.

What is asked for comes from :mod:`booktools.exercises`. The box stands where the cells of the site
are live; a reader without scripts does not see it.
"""

from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx_exercise.nodes import exercise_enumerable_node, exercise_node

from booktools import exercises
from booktools.live import brought, write_json

WRITTEN = """\
<textarea aria-labelledby="{label}-ask" rows="{rows}" spellcheck="false" \
autocapitalize="off" autocomplete="off">
{stub}</textarea>
<p><button type="button">Check</button> <button type="button">Reset</button></p>
<div role="status"></div>
"""
PIECES = {
    "text": nodes.Text,
    "code": lambda text: nodes.literal("", text),
    "math": lambda text: nodes.math("", text),
}


def ask(app: Sphinx, doctree: nodes.document) -> None:
    """Put a box into each exercise of a page."""
    source = Path(app.env.doc2path(app.env.docname))
    if app.builder.name != "html" or not brought(Path(app.confdir)):
        return
    found = exercises.read(source)
    if found:
        app.env.note_dependency(str(exercises.file_of(source)))
    for node in doctree.findall(nodes.Admonition):
        if isinstance(node, exercise_node | exercise_enumerable_node) and node["label"] in found:
            node += box(node["label"], found[node["label"]])


def box(label: str, exercise: exercises.Exercise) -> nodes.container:
    """The box of one exercise."""
    asked = nodes.paragraph(ids=[f"{label}-ask"])
    for kind, text in exercises.pieces(exercise["ask"]):
        asked += PIECES[kind](text)
    stub = exercise["stub"].strip("\n")
    written = WRITTEN.format(label=label, stub=escape(stub, quote=False), rows=stub.count("\n") + 2)
    parts = (asked, nodes.raw("", written, format="html"))
    return nodes.container("", *parts, classes=["answer"], data={"exercise": label})


def serve(app: Sphinx, exception: Exception | None) -> None:
    """Write what answers are judged by, which waits for the reader's press."""
    if exception is not None or app.builder.name != "html" or not brought(Path(app.confdir)):
        return
    for page in app.env.found_docs:
        if found := exercises.read(Path(app.env.doc2path(page))):
            write_json(Path(app.outdir) / "_live" / "exercises" / f"{page}.json", found)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", ask)
    app.connect("build-finished", serve, priority=800)  # before booktools.site
    return {"parallel_read_safe": True}
