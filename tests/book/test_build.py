"""The build, on a small book: each fault fails it, twice; what changed is built, nothing else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_notebook

from booktools import packed
from booktools.build import executed

ROOT = Path(__file__).parents[2]
BUILD = ("-m", "booktools.build")
JUPYTER_BOOK = (str(Path(sys.executable).with_name("jupyter-book")), "build")  # without make

TOC = """\
format: jb-book
root: book/index
parts:
  - caption: Only part
    numbered: 1
    chapters:
      - file: book/chapter
      - file: book/equations
      - file: book/references
"""

CHAPTER = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
myst:
  html_meta:
    description: A small chapter on squares.
---

# A small chapter

Back to [the front](index.md), with {cite}`BOOK`.

$$ f(x) = x^2 $$ (def-square)

$$ f'(x) = 2 x $$ (eq-slope)

```{prf:theorem} Even
:label: thm-even

$f(-x) = f(x)$.
```

By {eq}`def-square`, {eq}`eq-slope` and {prf:ref}`thm-even`.

```{code-cell} ipython3
import warnings

import matplotlib.pyplot as plt
import numpy as np

from booktools import style
from bptt import softmax, verified

style.use()
x = np.random.default_rng(0).standard_normal((2, 3))
```

```{code-cell} ipython3
verified("eq-slope", list(2 * x), [((v + 1j * 1e-50) ** 2).imag / 1e-50 for v in x], tol=1e-15)
verified("eq-slope", 2 * x[0], x[0] + x[0], tol=0)
```

```{code-cell} ipython3
verified("thm-even", x**2, (-x) ** 2, tol=0)
print("the softmax", end="", flush=True)  # in two parts, which the page joins
print(" of zeros:", softmax(np.zeros(2)))
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
plt.plot(np.linspace(-1, 1) ** 2);
```

See {numref}`fig-square`.
"""

FRONT = """\
---
myst:
  html_meta:
    description: The {} of a small book.
---

"""

PAGES = {
    "index.md": FRONT.format("front") + "# Front\n\nTo [the chapter](chapter.md).\n",
    "chapter.md": CHAPTER,
    "equations.md": FRONT.format("equations")
    + "# Every equation\n\n```{checked-equations} chapter\n```\n",
    "references.md": FRONT.format("sources") + "# References\n\n```{bibliography}\n```\n",
    "references.bib": "@misc{BOOK, author = {Someone}, title = {Some title}, year = {2000}}\n",
}

# A module of experiments.
SMALL = """\
from .runner import Experiment


def train(seed, n):
    return {"first": [1.0 * n], "solved": seed > 0}


SMALL = Experiment("small", train, [{"n": 2}], range(3))
"""

# What only execution finds: the text of the chapter, what replaces it, the text of the line that is
# named, and what is said of it.
FAULTS = {
    "failing cell": ("style.use()", "style.use(1)", "style.use(1)", "TypeError"),
    "failing check": (
        "list(2 * x)",
        "list(3 * x)",
        "list(3 * x)",
        "EquationFails.*eq-slope-1, case 1 of 2",
    ),
    "warning in a cell": (
        "print(",
        'warnings.warn("hm")\nprint(',
        'warnings.warn("hm")',
        "this warns, and a warning fails the build: UserWarning: hm",
    ),
}

# What Sphinx finds by itself, where the book is built without make.
FAULTS_OF_SPHINX = {
    "no such equation": ("{eq}`eq-slope`", "{eq}`eq-slop`", "eq-slop"),
    "no such source": ("{cite}`BOOK`", "{cite}`BOOKS`", "BOOKS"),
    "no such place": ("(index.md)", "(index.md#back)", "'back'"),
    "equation without a check": ("(def-square)", "(eq-square)", "eq-square has no check"),
    "alt text that says nothing": ("A curve that falls, then rises.", "figure", "alt is 'figure'"),
    "theorem without a check": ("thm-even", "thm-odd", "theorem thm-odd has no check"),
    "check of nothing": ('"thm-odd"', '"thm-even"', "check of thm-even, which is no equation"),
    "align without a label": (
        "See {num",
        "\\begin{align}x\\end{align}\n\nSee {num",
        "display without",
    ),
    "one label twice": ("See {num", "$$ y $$ (eq-slope)\n\nSee {num", "duplicate label of eq"),
    "image without alt text": ("See {num", "![](image.svg)\n\nSee {num", "image.svg.*alt is ''"),
    "warning in a cell": (
        "print(",
        'warnings.warn("hm")\nprint(',
        "a cell warns: .*UserWarning: hm",
    ),
}


def build(book, *arguments, tool=BUILD, **variables):
    """Run the build in this folder, against the folder's own copy of src."""
    environment = {**os.environ, **variables, "PYTHONPATH": str(book / "src")}
    return subprocess.run(
        [sys.executable, *tool, str(book), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def edit(path, old, new):
    """Replace a text that occurs."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def page(book, name):
    """A page of the site, parsed."""
    return BeautifulSoup((book / "_build" / "html" / "book" / name).read_text(), "html.parser")


def sites(book):
    """Every file of the site, by its path."""
    html = book / "_build" / "html"
    files = [path for path in html.rglob("*") if path.is_file() and path.name != ".buildinfo"]
    return {path: path.read_bytes() for path in files}


@pytest.fixture(scope="session")
def good(tmp_path_factory):
    """A small book, built."""
    book = tmp_path_factory.mktemp("good")
    locks = ("constraints.txt", "package.json", "package-lock.json")
    for name in ("_config.yml", *locks, *packed.METADATA):
        shutil.copy(ROOT / name, book)
    (book / "node_modules").symlink_to(ROOT / "node_modules")
    without = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.md", "exercises")
    for name in ("src", "book"):
        shutil.copytree(ROOT / name, book / name, ignore=without)
    (book / "_toc.yml").write_text(TOC)
    for name, text in PAGES.items():
        (book / "book" / name).write_text(text)
    result = build(book)
    assert result.returncode == 0, result.stdout + result.stderr
    return book


@pytest.fixture
def book(good, tmp_path):
    """A copy of the built book, to spoil."""
    return shutil.copytree(good, tmp_path / "book", symlinks=True)


def test_the_route_without_make_gives_the_same_site(good, tmp_path):
    """``jupyter-book build .`` from nothing, npm's packages included if they are not there."""
    without = shutil.ignore_patterns("_build")
    book = shutil.copytree(good, tmp_path / "book", symlinks=True, ignore=without)
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(book)]
    environment = {**os.environ, "PYTHONPATH": str(book / "src")}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    one, other = good / "_build/html", book / "_build/html"
    files = [{path.relative_to(site) for path in site.rglob("*")} for site in (one, other)]
    assert files[0] == files[1]
    for path in files[0] - {Path(".buildinfo")}:  # Sphinx's hash of settings, folders included
        assert (one / path).is_dir() or (one / path).read_bytes() == (other / path).read_bytes()


def test_faults_of_cells_fail_the_build_and_again_on_a_second_run(book):
    """Each in a chapter of its own, all told by one build."""
    for k, (old, new, _, _) in enumerate(FAULTS.values()):
        name = f"faulty-{k}"
        chapter = book / "book" / f"{name}.md"
        text = CHAPTER.replace("on squares", f"with fault {k}")
        for label in ("def-square", "eq-slope", "thm-even", "fig-square"):
            text = text.replace(label, f"{label}-{k}")
        chapter.write_text(text)
        edit(chapter, old, new)
        edit(
            book / "_toc.yml", "  - file: book/eq", f"  - file: book/{name}\n      - file: book/eq"
        )
        edit(book / "book" / "equations.md", "s} ", f"s}} {name} ")
    for _ in range(2):
        result = build(book)
        assert result.returncode != 0
        for k, (fault, (_, _, at, said)) in enumerate(FAULTS.items()):
            place = rf"book/faulty-{k}.md:(\d+): [^\n]*{said}"
            found = re.search(place, result.stderr)
            assert found, (fault, result.stderr)
            lines = (book / "book" / f"faulty-{k}.md").read_text().splitlines()
            assert at in lines[int(found[1]) - 1]


@pytest.mark.parametrize(("error", "times"), [(RuntimeError, 2), (DeadKernelError, 1)])
def test_a_kernel_that_does_not_start_gets_a_second_attempt(error, times, tmp_path, monkeypatch):
    calls = []

    def start(*given, **named):
        calls.append(given)
        raise error("Kernel died before replying to kernel_info")

    monkeypatch.setattr("booktools.build.single_nb_execution", start)
    result = executed(tmp_path, new_notebook())
    assert len(calls) == times
    assert "before replying" in result.exc_string


def test_sphinx_names_each_fault_where_the_book_is_built_without_make(book):
    (book / "book" / "image.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    for old, new, _ in FAULTS_OF_SPHINX.values():
        edit(book / "book" / "chapter.md", old, new)
    result = build(book, "-W", "-n", "--keep-going", tool=JUPYTER_BOOK)
    assert result.returncode != 0
    for fault, (_, _, said) in FAULTS_OF_SPHINX.items():
        assert re.search(said, result.stderr, re.DOTALL), (fault, result.stderr)


@pytest.mark.parametrize("tool", [BUILD, JUPYTER_BOOK], ids=["make", "jupyter-book"])
def test_an_edit_of_what_a_chapter_imports_executes_it_again(book, tool):
    assert "[0.5 0.5]" in page(book, "chapter.html").text
    edit(book / "src" / "bptt" / "readout.py", "\n    return e / ", "\n    return 7 * e / ")
    result = build(book, tool=tool)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "[3.5 3.5]" in page(book, "chapter.html").text


def test_an_edit_of_anything_else_executes_nothing(book):
    for file, old, new in (
        ("booktools/build.py", "TIMEOUT = 300", "TIMEOUT = 200"),
        ("bptt/readout.py", '"""', '"""More: '),
        ("bptt/tasks.py", "import", "import ast\nimport"),
        ("experiments/gates.py", "import", "import ast\nimport"),
    ):
        path = book / "src" / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))
    (book / "src" / "experiments" / "small.py").write_text(SMALL)
    result = build(book)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Writing the site" in result.stdout
    assert "executed" not in result.stdout


def test_pages_that_are_asked_for_or_have_changed_are_written_and_no_others(book):
    html = book / "_build" / "html" / "book"
    (html / "references.html").write_text("left alone")
    edit(book / "book" / "chapter.md", "print(", "print(1234, ")
    edit(book / "book" / "equations.md", "# Every", "# Each")
    result = build(book, "--page", "chapter")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1234" in page(book, "chapter.html").text
    assert "Every equation" in page(book, "equations.html").h1.text
    result = build(book, "--page", "chaptr")
    assert result.returncode == 1
    assert "PAGE: got chaptr, needs names of pages: index, chapter" in result.stderr
    (book / "README.md").write_text("which is no page")
    edit(book / "src" / "bptt" / "readout.py", "\n    return e / ", "\n    return 7 * e / ")
    result = build(book, "--changed")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Writing book/chapter, book/equations\n" in result.stdout
    assert "[3.5 3.5]" in page(book, "chapter.html").text
    assert "Each equation" in page(book, "equations.html").h1.text
    assert (html / "references.html").read_text() == "left alone"
    assert "No page has changed." in build(book, "--changed").stdout
    assert not (book / "_build" / "built").exists()  # so that the next build writes all
    (book / "book" / "new.md").write_text(FRONT.format("news") + "# What is new\n")
    edit(
        book / "_toc.yml", "      - file: book/eq", "      - file: book/new\n      - file: book/eq"
    )
    result = build(book, "--page", "new")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "The site has no book/new yet" in result.stdout
    assert "What is new" in page(book, "chapter.html").text  # in its menu


def test_addresses_from_the_environment_are_part_of_what_a_site_is_made_from(book):
    html = book / "_build" / "html" / "index.html"
    html.write_text("left alone")
    assert "Nothing has changed" in build(book).stdout
    assert html.read_text() == "left alone"
    result = build(book, BOOK_URL="https://example.org/rnn/", GITHUB_REPOSITORY="someone/rnn")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "https://example.org/rnn/" in str(page(book, "chapter.html"))
    assert "github.com/someone/rnn" in str(page(book, "chapter.html"))
    assert html.read_text() != "left alone"


def test_the_environment_of_a_reader_does_not_reach_the_pages(book):
    before = sites(book)
    shutil.rmtree(book / "_build")
    (book / "matplotlibrc").write_text("backend: agg\nlines.linewidth: 9\n")
    result = build(
        book,
        MPLBACKEND="Agg",
        MATPLOTLIBRC=str(book / "matplotlibrc"),
        PYTHONOPTIMIZE="1",
        PYTHONWARNINGS="always",
        HOME="/proc/nobody",
        XDG_CONFIG_HOME="/proc/nobody",
        TZ="Asia/Tokyo",
        LC_ALL="C",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert sites(book) == before


def test_stored_trainings_of_other_code_fail_the_build(book):
    module = book / "src" / "experiments" / "small.py"
    module.write_text(SMALL)
    environment = {**os.environ, "PYTHONPATH": str(book / "src")}
    command = [sys.executable, "-m", "experiments", "small", "--jobs", "1"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    read = "from experiments import small, stored\nstored(small.SMALL)\nprint("
    edit(book / "book" / "chapter.md", "print(", read)
    edit(module, "seed > 0", "seed > 1")
    result = build(book)
    assert result.returncode != 0
    said = "StaleResults.*small: of 3 rows 0 are missing and 3 are of other code.*make experiments"
    assert re.search(said, result.stderr, re.DOTALL)


def test_a_page_that_differs_from_build_to_build_is_named_and_no_other_file_is(book):
    edit(book / "book" / "chapter.md", "print(", "import os\n\nprint(os.times(), ")
    twice = ("-m", "booktools.reproducible")
    result = build(book, "--written", tool=twice)  # executes once, so it cannot see this
    assert result.returncode == 0, result.stderr
    result = build(book, tool=twice)
    assert result.returncode == 1
    assert result.stderr == "differs: book/chapter.html\n"


def test_a_check_stands_under_its_equation_and_its_cell_unfolds_from_it(good):
    chapter = page(good, "chapter.html")
    line = chapter.find(id="equation-eq-slope").find_next_sibling()
    assert line["class"] == ["check"]
    found = "largest relative difference"
    assert re.fullmatch(
        rf"✓ checked: {found} \S+( × \S+)? \(2\scases\); {found} 0", line.summary.text
    )
    assert line.pre.text.count('"eq-slope"') == 2
    definition = chapter.find(id="equation-def-square").find_next_sibling()
    assert definition["id"] == "equation-eq-slope"


def test_a_check_whose_cell_shows_more_leads_to_it(good):
    chapter = page(good, "chapter.html")
    line = chapter.find(id="thm-even").find_all("p")[-1]
    assert line["class"] == ["checked"]
    cell = chapter.find(id=line.a["href"].removeprefix("#"))
    assert '"thm-even"' in cell.find(class_="cell_input").text


def test_the_line_of_a_check_leaves_the_output_of_its_cell(good):
    outputs = page(good, "chapter.html").find_all(class_="cell_output")
    texts = [output.text.strip() for output in outputs]
    assert "the softmax of zeros: [0.5 0.5]" in texts
    assert not any("checked" in text for text in texts)
    assert all(output.text.strip() or output.img for output in outputs)


def test_the_table_of_equations_lists_every_label_with_what_was_found(good):
    table = page(good, "equations.html").article
    links = [link["href"] for link in table.find_all("a", href=re.compile("chapter.html#"))]
    places = [href.partition("#")[2] for href in links]
    assert places == ["equation-def-square", "equation-eq-slope", "thm-even"]
    text = table.text
    assert "A small chapter" in text
    assert "f'(x) = 2 x" in text
    assert "(1.1)" in text
    assert "Theorem 1.1" in text
    assert text.count("largest relative difference") == 3
