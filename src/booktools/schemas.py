"""What _config.yml and _toc.yml may say, for a key that nobody reads is left out without a word."""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from jupyter_book.config import get_validator
from myst_parser.config.main import MdParserConfig

from .pages import Mistake

# What Jupyter Book reads, and its schema lacks, in whichever group.
READ_TOO = [
    *("only_build_toc_files", "project", "bibtex_reference_style", "myst_substitutions"),
    *("use_multitoc_numbering", "navbar_footer_text"),
]
# The menu, the map of the chapters and the page for teachers need parts, each with its caption.
CONTENTS = """
type: object
required: [format, root, parts]
properties:
  format: {const: jb-book}
  root: {type: string}
  parts:
    type: array
    items:
      type: object
      required: [caption, chapters]
      properties:
        caption: {type: string}
        numbered: {type: [boolean, integer]}
        chapters: {$ref: "#/definitions/files"}
definitions:
  files:
    type: array
    items:
      type: object
      required: [file]
      properties:
        file: {type: string}
        title: {type: string}
        sections: {$ref: "#/definitions/files"}
"""
FORMATS = get_validator().FORMAT_CHECKER
FORMATS.checks("module that is here", ImportError)(lambda name: bool(find_spec(str(name))))
FORMATS.checks("extension of MyST", ValueError)(
    lambda name: bool(MdParserConfig(enable_extensions={str(name)}))
)


def settings() -> Any:
    """The schema of _config.yml: Jupyter Book's, which looks at no extensions."""
    schema = closed(deepcopy(get_validator().schema), READ_TOO)
    groups = schema["properties"]
    modules = {"type": "array", "items": {"format": "module that is here"}}
    groups["sphinx"]["properties"]["config"]["properties"] = {"extensions": modules}
    groups["parse"]["properties"]["myst_enable_extensions"]["items"]["format"] = "extension of MyST"
    return schema


def closed(schema: Any, too: Iterable[str] = ()) -> Any:
    """The schema, changed: no other keys than those that it names."""
    if isinstance(schema, dict):
        for part in schema.values():
            closed(part, too)
        if "properties" in schema:
            schema["propertyNames"] = {"enum": [*schema["properties"], *too]}
    return schema


def misfits(root: Path) -> Iterator[Mistake]:
    """What stands in the two files, and nobody reads or can use."""
    contents = closed(yaml.safe_load(CONTENTS))
    for name, schema in (("_config.yml", settings()), ("_toc.yml", contents)):
        text = (root / name).read_text(encoding="utf-8")
        for error in errors(yaml.safe_load(text), schema):
            path = [*error.path]
            where = "".join(f"{part}: " for part in path if isinstance(part, str))
            if "propertyNames" in error.schema_path:
                path.append(error.instance)
            line = line_of(path, yaml.compose(text))
            yield Mistake(root / name, line, f"{where}{error.message}")


def errors(found: Any, schema: Any) -> Iterator[Any]:
    """What a schema finds wrong."""
    yield from type(get_validator())(schema, format_checker=FORMATS).iter_errors(found)


def line_of(path: Iterable[Any], node: Any) -> int:
    """The line of a YAML file at which this stands: keys, and numbers in lists."""
    line = 0
    for step in path:
        if isinstance(node, yaml.SequenceNode):
            key = node = node.value[step]
        else:
            pairs = (pair for pair in node.value if pair[0].value == str(step))
            key, node = next(pairs, (node, node))  # of a key such as "on", which is True
        line = key.start_mark.line
    return line + 1
