"""Mistakes of a newcomer: each is found before anything is executed, with its file and line."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from booktools import early

ROOT = Path(__file__).parents[2]
FILES = {
    "_config.yml": """\
bibtex_bibfiles:
  - book/references.bib
parse:
  myst_enable_extensions: [amsmath, colon_fence, dollarmath, deflist]
sphinx:
  config:
    math_macros: { "\\\\diag": "\\\\operatorname{diag}" }
""",
    "_toc.yml": """\
format: jb-book
root: book/index
parts:
  - caption: Only part
    chapters:
      - file: book/chapter
      - file: book/other
""",
    "book/references.bib": """\
@misc{BOOK2000, author = {Someone}, title = {Some title}, year = {2000}}
@misc{OTHER2001, author = {Someone}, title = {Some other}, year = {2001}}
""",
    "book/index.md": """\
---
myst:
  html_meta:
    description: The front of a small book.
---

# Front

To [the chapter](chapter.md), to [the other](other) and to [its end](oth-end).
""",
    "book/other.md": """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  name: python3
myst:
  html_meta:
    description: Another chapter.
---

# Another chapter

$$ x = x $$ (eq-oth-same)

```{code-cell} ipython3
from bptt import verified

verified("eq-oth-same", 1, 1, tol=0)
```

```{formulas}
def-square A square of $x$

eq-oth-same
```

(oth-end)=
## The end
""",
    "book/chapter.md": """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  name: python3
myst:
  html_meta:
    description: A small chapter on squares.
---

# A small chapter

Words come first, with $\\diag(x)$
and {cite}`BOOK2000,OTHER2001` on a second line.

$$
f(x) = x^2
$$ (def-square)

$$ f'(x) = 2 x $$ (eq-slope)

```{prf:theorem} Even
:label: thm-even

$f(-x) = f(x)$, by {eq}`def-square`.
```

See {eq}`eq-slope`, {prf:ref}`thm-even`, {numref}`fig-square`, {py:func}`bptt.verified` and
[](oth-end).

```{code-cell} ipython3
import matplotlib.pyplot as plt
import numpy as np

from booktools import style
from bptt import verified

style.use()
x = np.random.default_rng(0).standard_normal(3)
```

```{code-cell} ipython3
:tags: [hide-input]

verified("eq-slope", 2 * x, x + x, tol=0)
verified("thm-even", x**2, (-x) ** 2, tol=0)
```

```{code-cell} ipython3
---
mystnb:
  figure:
    name: fig-square
    caption: The square grows.
  image:
    alt: A curve that falls, then rises.
---
plt.plot(x**2);
```

```{exercise}
:label: ex-square

What is $f(3)$?
```

````{solution-start} ex-square
:class: dropdown
````

Nine.

````{solution-end}
````
""",
    "book/exercises/chapter.toml": """[ex-square]
ask = "Define `f(x)`."
name = "f"
stub = "def f(x): ..."
right = "def f(x): return x**2"
compare = ["f(3)", "f(4)"]

[[ex-square.wrong]]
code = "def f(x): return 2 * x"
hint = "That doubles."
""",
    "src/booktools/theme/search.toml": 'same = [["gate", "gates"]]',
}

CHAPTER, TOC, SETTINGS = "book/chapter.md", "_toc.yml", "_config.yml"
SOURCES, WORDS = "book/references.bib", "src/booktools/theme/search.toml"
SOLUTION = FILES[CHAPTER][FILES[CHAPTER].index("````{solution-start}") :]
ASKED = "book/exercises/chapter.toml"

# The file, what stands in it, what replaces that, what stands on the line that is named, and what
# is said.
MISTAKES = {
    "tag of a check where there is none": (
        "book/chapter.md",
        "ipython3\nimport matplotlib",
        "ipython3\n:tags: [teaches]\n\nimport matplotlib",
        "```{code-cell} ipython3",
        "tag teaches: this cell checks nothing",
    ),
    "exercise of another name": (
        ASKED,
        "[ex-square]",
        "[ex-squares]",
        "[ex-squares]",
        "ex-squares is no exercise of chapter.md",
    ),
    "exercise without code": (
        CHAPTER,
        "{exercise}\n:label: ex-square",
        "{exercise}\n:label: ex-cube",
        "```{exercise}",
        r"ex-cube has no table in exercises/chapter.toml: add \[ex-cube\]",
    ),
    "exercise without a label": (
        CHAPTER,
        "\n:label: ex-square",
        "",
        "{exercise}",
        "exercise without",
    ),
    "solution without an end": (
        CHAPTER,
        "````{solution-end}\n````\n",
        "",
        "````{solution-start} ex-square",
        "this {solution-start} has no {solution-end}",
    ),
    "solution without a beginning": (
        CHAPTER,
        "````{solution-start} ex-square\n:class: dropdown\n````\n",
        "",
        "````{solution-end}",
        "this {solution-end} has no {solution-start}",
    ),
    "exercise with a hint that says nothing": (
        ASKED,
        '"That doubles."',
        '""',
        "[ex-square]",
        "wrong: 1: hint: ",
    ),
    "program in a cell": (
        CHAPTER,
        "style.use()",
        "style.use()\n!pip install x",
        "!pip",
        "no programs",
    ),
    "path of this machine": (
        CHAPTER,
        "style.use()",
        "style.use()\nopen('/home/me/x.txt')",
        "open('/home",
        "/home/me/x.txt is on this machine alone",
    ),
    "environment in a cell": (
        CHAPTER,
        "style.use()",
        "style.use()\nimport os\nos.environ.get('HOME')",
        "os.environ",
        "os.environ.get: each build",
    ),
    "exercise without a part": (
        ASKED,
        'name = "f"\n',
        "",
        "[ex-square]",
        "'name' is a required property",
    ),
    "exercise with a part of another name": (
        ASKED,
        "compare =",
        'hints = "x"\ncompare =',
        "[ex-square]",
        "'hints' is not one of .*'given'",
    ),
    "exercise with a part of another kind": (
        ASKED,
        '["f(3)", "f(4)"]',
        '"f(3)"',
        "[ex-square]",
        "compare: 'f\\(3\\)' is not of type 'array'",
    ),
    "exercise that compares something else": (
        ASKED,
        '"f(4)"',
        '"g(4)"',
        "[ex-square]",
        "'g\\(4\\)' does not say f",
    ),
    "exercise whose code is none": (
        ASKED,
        "return 2 * x",
        "return 2 *",
        "[ex-square]",
        "wrong 1, line 1: this is no Python",
    ),
    "exercise with a formula that is none": (
        ASKED,
        "Define `f(x)`.",
        "Define `f(x)` by $x^$.",
        "[ex-square]",
        "formula cannot be set",
    ),
    "exercises that are no TOML": (ASKED, 'name = "f"', 'name = "f', 'name = "f', "no TOML"),
    "no such source": (CHAPTER, "BOOK2000,OTH", "BOOK200,OTH", "BOOK200,", "no source BOOK200 in"),
    "no such equation": (CHAPTER, "See {eq}`eq-slope`", "See {eq}`eq-slop`", "eq-slop`", "eq-slop"),
    "no such equation for a sheet": (
        "book/other.md",
        "eq-oth-same\n```",
        "eq-oth-some\n```",
        "eq-oth-some",
        "no equation eq-oth-some; do you mean eq-oth-same",
    ),
    "no such theorem": (CHAPTER, "{prf:ref}`thm-even`", "{prf:ref}`thm-odd`", "thm-odd", "thm-odd"),
    "no such figure": (CHAPTER, "{numref}`fig-square`", "{numref}`fig-s`", "`fig-s`", "fig-s"),
    "no such place": (CHAPTER, "[](oth-end)", "[](oth-ende)", "(oth-ende)", "do you mean oth-end"),
    "no such page": ("book/index.md", "(chapter.md)", "(chapters.md)", "chapters.md", "leads to"),
    "no such place on a page": ("book/index.md", "r.md)", "r.md#of)", "r.md#of", "'of', which ch"),
    "no such image": (CHAPTER, "Nine.", "![A red, round ball](b.png)", "b.png", "leads to b.png"),
    "no such function": (CHAPTER, "`bptt.verified`", "`bptt.verify`", "verify`", "no verify"),
    "no such exercise": (
        CHAPTER,
        "start} ex-square",
        "start} ex-sq",
        "start} ex-sq",
        "label ex-sq;",
    ),
    "label twice": (
        CHAPTER,
        "(def-square)\n",
        "(def-square)\n\n$$ y $$ (def-square)\n",
        "$$ y $$",
        "dup",
    ),
    "label of another page": (
        "book/other.md",
        "(oth-end)=",
        "(oth-end)=\n(ex-square)=",
        "(ex-square)=",
        "chapter.md:63",
    ),
    "check of another page's equation": (
        CHAPTER,
        '"eq-slope", 2',
        '"eq-oth-same", 2',
        '"eq-oth-same"',
        "stands in other.md",
    ),
    "check of nothing": (CHAPTER, '"thm-even", x', '"thm-evn", x', '"thm-evn"', "no label of this"),
    "equation without check": (CHAPTER, "(def-square)\n\n", "(eq-square)\n\n", "$$", "no check"),
    "theorem without check": (
        CHAPTER,
        'verified("thm-even", x**2, (-x) ** 2, tol=0)\n',
        "",
        "{prf:theorem}",
        "no check",
    ),
    "theorem without label": (
        CHAPTER,
        ":label: thm-even\n",
        "",
        "{prf:theorem}",
        "theorem without a label",
    ),
    "display without label": (CHAPTER, " (eq-slope)", "", "$$ f'(x)", "display without a label"),
    "align": (
        CHAPTER,
        "Nine.",
        "\\begin{align}\nx\n\\end{align}",
        "\\begin{align}",
        "display without",
    ),
    "display that is not closed": (CHAPTER, "2 x $$ (eq", "2 x (eq", "f'(x)", "without its other"),
    "block that is not closed": (CHAPTER, "end}\n````\n", "end}\n", "solution-end", "never ends"),
    "display that KaTeX refuses": (CHAPTER, "= 2 x $$", r"= \frac{2 $$", "frac", "cannot be set"),
    "formula that KaTeX refuses": (CHAPTER, "f(3)", r"\ff(3)", r"\ff(3)", r"cannot be set.*\\ff"),
    "entry without a file": (
        TOC,
        "book/chapter",
        "book/chaptr",
        "chaptr",
        "no file book/chaptr.md",
    ),
    "chapter in no entry": (TOC, "      - file: book/other\n", "", None, "no entry of _toc.yml"),
    "entry twice": (TOC, "book/other", "book/other\n      - file: book/other", None, "second time"),
    "contents that are no YAML": (TOC, "parts:", "parts: [", "caption", "no YAML"),
    "settings that are no YAML": ("_config.yml", "[amsmath", "[[amsmath", "sphinx:", "no YAML"),
    "front matter that is no YAML": (
        CHAPTER,
        "  name: python3\nmyst",
        "  name: python3\n name: x\nmyst",
        "name: x",
        "no YAML",
    ),
    "options that are no YAML": (CHAPTER, "    alt: A", "  alt: [A", "", "options of {code-cell}"),
    "no description": (
        CHAPTER,
        "    description: A small",
        "    descr: A small",
        "---",
        "descript",
    ),
    "formula in the description": (CHAPTER, "on squares", "on $x^2$", "---", "without formulas"),
    "code that would not run": (CHAPTER, "    format_name: myst\n", "", "{code-cell}", "not run"),
    "no style.use": (CHAPTER, "style.use()\n", "\n", "import matplotlib", "style.use()"),
    "no alt text": (
        CHAPTER,
        "  image:\n    alt: A curve that falls, then rises.\n",
        "",
        "{code-cell}",
        "alt is ''",
    ),
    "file name for alt text": (
        CHAPTER,
        "A curve that falls, then rises.",
        "a.svg",
        "{code-cell}",
        "alt",
    ),
    "figure without a caption": (
        CHAPTER,
        "    caption: The square grows.\n",
        "",
        "{code",
        "no caption",
    ),
    "wrong key for a figure": (
        CHAPTER,
        "  figure:\n",
        "  figures:\n",
        "{code",
        "figures says nothing",
    ),
    "wrong option of a cell": (CHAPTER, ":tags:", ":tag:", "{code-cell}", "tag says nothing"),
    "tag that nobody knows": (CHAPTER, "[hide-input]", "[folded]", "{code-cell}", "no tag folded$"),
    "explorable that is not there": (
        CHAPTER,
        "[hide-input]",
        "[explorable-matrx]",
        "{code-cell}",
        "do you mean explorable-matrix",
    ),
    "table that is not the last line": (
        CHAPTER,
        "style.use()\n",
        'style.use()\nTable("So it is.", {"n": [1]})\n',
        "Table(",
        "not shown: make it the last line",
    ),
    "table that a semicolon hides": (
        CHAPTER,
        "plt.plot(x**2);",
        'Table("So it is.", {"n": [1]});',
        "Table(",
        "not shown: make it the last line",
    ),
    "table in a loop": (
        CHAPTER,
        "plt.plot(x**2);",
        'for n in x:\n    tables.Table("So it is.", {"n": [n]})',
        "Table(",
        "not shown: make it the last line",
    ),
    "table that has a name and no more": (
        CHAPTER,
        "plt.plot(x**2);",
        'found = Table("So it is.", {"n": [1]})',
        "Table(",
        "not shown: end with found",
    ),
    "value that is not the last line": (
        CHAPTER,
        "style.use()\n",
        "style\nstyle.use()\n",
        "style",
        "sh",
    ),
    "module that is not there": (
        CHAPTER,
        "import matplotlib.pyplot as plt",
        "import matplotlib.pyplot as plt\nfrom pandaz.core import x",
        "pandaz",
        "no module pandaz here",
    ),
    "formula that is not closed": (CHAPTER, "is $f(3)$?", "is $f(3)?", "f(3)", "its other \\$:"),
    "role without backticks": (
        CHAPTER,
        "{prf:ref}`thm-even`,",
        "{prf:ref}thm-even,",
        "thm-",
        "backt",
    ),
    "directive without braces": (
        CHAPTER,
        "```{exercise}",
        "```exercise",
        "```exercise",
        "write {exercise}",
    ),
    "second title": ("book/other.md", "## The end", "# The end", "# The end", "a second title"),
    "level left out": ("book/other.md", "## The end", "### The end", "### The end", "here ## can"),
    "no title": ("book/index.md", "# Front\n", "", "---", "no title"),
    "description of another page": (
        "book/other.md",
        "Another chapter.",
        "A small chapter on squares.",
        "---",
        "is that of chapter.md",
    ),
    "exercise without a solution": (
        CHAPTER,
        SOLUTION,
        "",
        "{exercise}",
        "ex-square has no solution",
    ),
    "wrong tag": (CHAPTER, "[hide-input]", "[hide_input]", "{code-cell}", "do you mean hide-input"),
    "code that is no Python": (CHAPTER, "tol=0)\nv", "tol=0\nv", '"eq-slope"', "no Python"),
    "no seed": (CHAPTER, "default_rng(0)", "default_rng()", "default_rng()", "give it a seed"),
    "the global generator": (
        CHAPTER,
        "np.random.default_rng(0).s",
        "np.random.s",
        "x = np",
        "each build repeats",
    ),
    "seed that is none": (
        CHAPTER,
        "default_rng(0)",
        "default_rng(None)",
        "default_rng(None)",
        "give it a seed",
    ),
    "seed by the clock": (
        CHAPTER,
        "import matplotlib.pyplot as plt",
        "import time\nimport matplotlib.pyplot as plt\nnp.random.default_rng(int(time.time()))",
        "time()",
        "^[^ ]+ time.time: each build repeats",
    ),
    "generator of old": (
        CHAPTER,
        "np.random.default_rng(0).s",
        "np.random.RandomState().s",
        "RandomState",
        "each build repeats",
    ),
    "draws by another name": (
        CHAPTER,
        "import matplotlib.pyplot as plt",
        "from numpy.random import randn as normal\nimport matplotlib.pyplot as plt\nnormal(3)",
        "normal(3)",
        "normal: each build repeats",
    ),
    "folder of this machine": (
        CHAPTER,
        "import matplotlib.pyplot as plt",
        "from pathlib import Path\nimport matplotlib.pyplot as plt\nprint(Path.cwd())",
        "cwd",
        "Path.cwd: each build repeats",
    ),
    "cell of another language": (
        CHAPTER,
        "```{code-cell} ipython3\n:tags",
        "```{code-cell} julia\n:tags",
        "julia",
        "a cell of julia: write",
    ),
    "another kernel": (
        CHAPTER,
        "name: python3",
        "name: julia-1.9",
        "---",
        "kernelspec needs name: python3",
    ),
    "cell inside a note": (
        CHAPTER,
        "Nine.",
        "````{note}\n```{code-cell} ipython3\n9\n```\n````",
        "{code-cell}",
        "this cell does not run",
    ),
    "cell in a list": (
        CHAPTER,
        "Nine.",
        "- Nine.\n\n  ```{code-cell} ipython3\n  9\n  ```",
        "{code-cell}",
        "this cell does not run",
    ),
    "cell with colons": (
        CHAPTER,
        "Nine.",
        ":::{code-cell} ipython3\n9\n:::",
        "{code-cell}",
        "this cell does not run",
    ),
    "drawing that is no figure": (
        CHAPTER,
        "Nine.",
        "```{code-cell} ipython3\nfig, ax = plt.subplots()\n```",
        "{code-cell}",
        "a figure without mystnb",
    ),
    "image of another site": (
        CHAPTER,
        "Nine.",
        "![A red, round ball](https://a.org/b.png)",
        "b.png",
        "is not the book's",
    ),
    "no such image of a figure": (
        CHAPTER,
        "Nine.",
        "```{figure} b.png\n:alt: A red, round ball\n```",
        "b.png",
        "leads to b.png",
    ),
    "tags that are no list": (
        CHAPTER,
        "[hide-input]",
        "hide-input",
        "{code-cell}",
        "tags: needs a list: \\[hide-input\\]",
    ),
    "source of nobody": (
        SOURCES,
        "author = {Someone}, title = {Some title}",
        "title = {Some title}",
        "BOOK2000",
        "BOOK2000: needs an author or editor",
    ),
    "source of no type": (SOURCES, "@misc{BOOK", "@blogpost{BOOK", "BOOK2000", "got @blogpost"),
    "source without what its type needs": (
        SOURCES,
        "@misc{BOOK",
        "@article{BOOK",
        "BOOK2000",
        "BOOK2000: needs journal",
    ),
    "sources that are cited alike": (
        SOURCES,
        "year = {2001}",
        "year = {2000}",
        "OTHER2001",
        "OTHER2001: Someone, 2000, as is BOOK2000: needs years such as 2017a",
    ),
    "part without a caption": (
        TOC,
        "  - caption: Only part\n    chapters:",
        "  - chapters:",
        "  - chapters:",
        "parts: 'caption' is a required property",
    ),
    "key of a part that nobody knows": (
        TOC,
        "    chapters:",
        "    numbred: 1\n    chapters:",
        "numbred",
        "parts: 'numbred' is not one of .*'numbered'",
    ),
    "entry that is no file": (
        TOC,
        "file: book/other",
        "url: book/other",
        "url",
        "'url' is not one",
    ),
    "format of another name": (TOC, "jb-book", "jb-boook", "jb-boook", "format: 'jb-book' was exp"),
    "setting that nobody knows": (
        SETTINGS,
        "parse:",
        "execute:\n  timout: 3\nparse:",
        "timout",
        "execute: 'timout' is not one of .*'timeout'",
    ),
    "group of settings that nobody knows": (
        SETTINGS,
        "parse:",
        "pars:",
        "pars:",
        "'pars' is not one of",
    ),
    "setting that YAML reads as no text": (
        SETTINGS,
        "parse:",
        "on: 3\nparse:",
        "",
        "True is not one",
    ),
    "setting of another kind": (
        SETTINGS,
        "bibtex_bibfiles:\n  - book",
        "bibtex_bibfiles:\n  book",
        "bibtex_bibfiles",
        "bibtex_bibfiles: 'book/references.bib' is not of type 'array'",
    ),
    "extension of Markdown that is not there": (
        SETTINGS,
        "dollarmath",
        "dolarmath",
        "dolarmath",
        "'dolarmath' is not a 'extension of MyST'",
    ),
    "extension of Sphinx that is not there": (
        SETTINGS,
        "  config:",
        "  config:\n    extensions:\n      - myst_nb\n      - booktools.serach",
        "booktools.serach",
        "'booktools.serach' is not a 'module that is here'",
    ),
    "words of the search that are no TOML": (
        WORDS,
        '"]',
        '"',
        "[",
        "this is no TOML: Unclosed array",
    ),
    "number for a section": (
        CHAPTER,
        "{numref}`fig-square`",
        "{numref}`oth-end`",
        "{numref}`oth-end`",
        r"oth-end is a section, which has no number: write \[\]\(oth-end\)",
    ),
    "exercise that compares a number": (
        ASKED,
        '"f(3)", ',
        "3, ",
        "[ex-square]",
        "compare: 1: 3 is not of type 'string'",
    ),
    "exercise that is no table": (
        ASKED,
        "[ex-square]\n",
        'ex-cube = "x"\n[ex-square]\n',
        "ex-cube",
        "ex-cube: 'x' is not of type 'object'",
    ),
    "source twice": (SOURCES, "OTHER2001", "BOOK2000", "Some other", "repeated"),
    "source that is not closed": (
        SOURCES,
        "{2001}}",
        "{2001",
        "2001",
        "syntax error",
    ),
}

# What is no Markdown of this book, and what is said of its last line.
UNREAD = {
    "[@BOOK2000]": r"\[@BOOK2000\] is shown as it stands: write {cite}",
    r"\cite{BOOK2000}": r"\\c is shown as it stands",
    r"Nine, or \(3^2\).": r"\\\( is shown as it stands",
    r"\[ 3^2 \]": r"\\\[ is shown as it stands",
    "[text][undefined]": r"\[text\]\[undefined\] is shown as it stands",
    "[x] (other.md)": r"write \[text\]\(page",
    "A claim[^none].": r"\[\^none\] is shown as it stands: a footnote needs",
    "##Heading": "a space after #",
    "##\xa0Heading": "a space after #",
    ":eq:`eq-slope`": ":eq: is shown as it stands: a role is",
    "[x](other.md": "a link is",
    "[x](https://example.org/a b)": "a link is",
    "[x](file:///home/me/x.md)": "a link is",
    "(x)[other.md]": "a link is",
    "[[other]]": "a link is",
    "Gr\u00c3\u00bcn": "once read as Latin-1",
    "It costs $5 and sells for $10 today.": r"write \\\$ for a dollar",
    "\tNine.": "shown as code",
    "| a | b |\n|---|---|\n| 1 | 2 | 3 |": "3 cells under a head of 2",
    "| a | b |\n|---|---|\n| 1 |": "1 cells under a head of 2",
    "<<<<<<< HEAD": "a conflict of two versions",
    "| $a$ | b |\n|:--|": "a table needs",
    "**Nine.": "its other",
    "{{ name }}": "no substitutions",
    "<!-- Nine.": "<!-- Nine. is HTML",
    'So <img src="b.png"> it is.': '<img src="b.png"> is HTML',
}
MISTAKES |= {
    text: (CHAPTER, "Nine.", text, text.splitlines()[-1], said) for text, said in UNREAD.items()
}


@pytest.fixture
def book(tmp_path):
    """A small book, which nobody executes."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def found(book):
    """The lines of the report, without the last, which counts them."""
    _, mistakes = early.check(book)
    return early.report(book, mistakes).splitlines()[:-1]


def test_a_book_without_mistakes_passes(book):
    assert found(book) == []


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_file_and_line(mistake, book):
    file, old, new, at, said = MISTAKES[mistake]
    text = (book / file).read_text()
    assert text.count(old) == 1
    (book / file).write_text(text.replace(old, new))
    lines = found(book)
    told = [line for line in lines if re.search(said, line)]
    assert told, lines
    where, line, _ = told[0].split(":", 2)
    if at is None:
        assert where in ("_toc.yml", "book/other.md")
    else:
        assert where == file
        assert at in (book / where).read_text().splitlines()[int(line) - 1]


def test_an_equation_of_a_checked_theorem_needs_no_other_check(book):
    chapter = book / "book" / "chapter.md"
    text = chapter.read_text()
    inside = text.replace("$f(-x) = f(x)$, by", "$$ x = x $$ (eq-within)\n\nand, by")
    chapter.write_text(inside)
    assert found(book) == []
    chapter.write_text(inside.replace('verified("thm-even"', 'verified("eq-slope"'))
    told = "\n".join(found(book))
    assert "theorem thm-even has no check" in told
    assert "equation eq-within has no check" in told


def listing(book, *lists):
    """The report of the book with pages that list equations."""
    for old in book.glob("book/list*.md"):
        old.unlink()
    entries = ""
    for k, text in enumerate(lists):
        front = FILES["book/index.md"].partition("# Front")[0].replace("The front", f"List {k}")
        (book / f"book/list{k}.md").write_text(f"{front}# List {k}\n\n{text}\n")
        entries += f"      - file: book/list{k}\n"
    (book / TOC).write_text(FILES[TOC] + entries)
    return found(book)


def test_where_equations_are_listed_all_are(book):
    half, other = (f"```{{checked-equations}} chapter\n:part: {k}/2\n```" for k in (1, 2))
    rest = "```{checked-equations} other\n```"
    assert listing(book, half, other, rest) == []
    for wrong in ("1/2", "1/0", "first"):
        (told,) = listing(book, half, other.replace("2/2", wrong), rest)
        parts = f"1/2, {wrong} of its equations are on a list, needs all, once"
        assert told.startswith(f"book/chapter.md:1: {parts}")
    assert listing(book, half, other) == [
        "book/other.md:1: none of its equations are on a list, needs all, once: "
        "write equations/in-other.md with {checked-equations} other"
    ]
    one, two = listing(book, half, "```{checked-equations} other index\n```")
    assert one.startswith("book/chapter.md:1: 1/2 of its equations are on a list, needs all, once")
    assert two.startswith("book/list1.md:9: index is no page with equations")


def test_a_table_that_is_shown_is_no_mistake(book):
    chapter = book / "book" / "chapter.md"
    for shown in ('Table("So.", {"n": [1]})', 't = Table("So.", {"n": [1]})\ndisplay(t)'):
        chapter.write_text(FILES[CHAPTER].replace("plt.plot(x**2);", shown))
        assert found(book) == []


def test_mistakes_are_told_all_at_once_and_nothing_is_executed(book):
    chapter = book / "book" / "chapter.md"
    text = chapter.read_text()
    for name in ("no such source", "no style.use", "no alt text", "label twice"):
        _, old, new, *_ = MISTAKES[name]
        text = text.replace(old, new)
    chapter.write_text(text + "\n```{code-cell} ipython3\nopen('executed', 'w')\n```\n")
    command = [sys.executable, "-m", "booktools.build", str(book)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    for name in ("no such source", "no style.use", "no alt text", "label twice"):
        assert re.search(MISTAKES[name][-1], result.stderr), name
    assert "4 mistakes in 1 files; nothing was executed." in result.stderr
    assert not (book / "book" / "executed").exists()


def test_exercises_of_no_page_are_named(book):
    (book / "book" / "exercises" / "chapters.toml").write_text("")
    assert found(book) == ["book/exercises/chapters.toml:1: no page of the book is named chapters"]


def test_a_notebook_with_outputs_is_not_committed(book):
    (book / "book" / "new.ipynb").write_text("{}")
    assert found(book) == [
        "book/new.ipynb:1: outputs are not committed: keep the chapter as .md "
        "(jupytext --to md:myst FILE)"
    ]


def test_a_page_that_is_not_utf8_is_named(book):
    page = book / "book" / "index.md"
    page.write_bytes(page.read_bytes().replace(b"To [the", b"\xfcber [the"))
    assert "book/index.md:9: this is not UTF-8: save the file as UTF-8" in found(book)


@pytest.mark.parametrize("name", [SETTINGS, TOC, SOURCES, ASKED, WORDS])
def test_any_file_that_is_not_utf8_is_named_alone(name, book):
    (book / name).write_bytes(b"# \n# \xfc\n" + (book / name).read_bytes())
    assert found(book) == [f"{name}:2: this is not UTF-8: save the file as UTF-8"]


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("Nine.", "\udcfc", "Nine.", "this is not UTF-8"),
        ("---\n\n# A small", "\n# A small", "---", "the front matter never ends"),
        ("Nine.", ":::{note}\nNine.\n::", ":::{note}", "a block begins with ::: and never ends"),
        (
            "Nine.",
            "```{note}\n```{tip}\nOf it.\n```\n```",
            "```{tip}",
            "never ends: close it, with more",
        ),
        (
            "(3)\n```\n",
            "(3)\n",
            "```{code-cell} ipython3",
            "this cell does not end before the next",
        ),
        ("Nine.", ">>>>>>> theirs", ">>>>>>> theirs", "a conflict of two versions"),
    ],
)
def test_where_a_page_cannot_be_read_on_that_alone_is_said(old, new, line, said, book):
    page = book / CHAPTER
    assert FILES[CHAPTER].count(old) == 1
    page.write_text(FILES[CHAPTER].replace(old, new), errors="surrogateescape")
    (told,) = found(book)
    place, at, message = told.split(":", 2)
    assert (place, message.strip().startswith(said) or said in message) == (CHAPTER, True)
    lines = page.read_text(errors="replace").splitlines()
    assert line == lines[int(at) - 1] or said == "this is not UTF-8"


def test_pages_stand_in_book(book):
    (book / "notes.md").write_text(FILES["book/index.md"].replace("The front", "Notes"))
    (book / TOC).write_text(FILES[TOC] + "      - file: notes\n")
    assert "_toc.yml:8: notes is not in book, as all pages: move it" in found(book)


def test_names_that_are_one_on_some_systems_are_two_files_too_many(book):
    (book / "book" / "Other.md").write_text(FILES["book/index.md"].replace("The front", "Others"))
    (book / TOC).write_text(FILES[TOC] + "      - file: book/Other\n")
    said = "book/Other and book/other are one file on macOS and Windows: rename one of them"
    assert f"_toc.yml:8: {said}" in found(book)


@pytest.mark.parametrize("before", ["\ufeff", "\n"])
def test_what_stands_before_the_front_matter_is_named_and_no_more(before, book):
    (book / CHAPTER).write_text(before + FILES[CHAPTER], encoding="utf-8")
    assert found(book) == [
        "book/chapter.md:1: a byte order mark or a blank line before the front matter: take it away"
    ]


def test_the_book_itself_has_no_mistake():
    assert found(ROOT) == []
