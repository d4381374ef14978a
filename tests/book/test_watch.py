"""What is shown while one writes: pages with a script more, which reloads them after a build."""

import threading
from urllib.request import urlopen

import pytest

from booktools import watch


@pytest.fixture
def site(tmp_path):
    """A site that is served."""
    (tmp_path / "page.html").write_text("<html><body>é</body></html>", encoding="utf-8")
    (tmp_path / "style.css").write_text("a {}")
    served = watch.Site(tmp_path, 0)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield served
    served.shutdown()
    served.server_close()


def test_a_page_has_the_script_that_reloads_it_and_a_style_has_not(site):
    address = f"http://127.0.0.1:{site.server_port}"
    with urlopen(f"{address}/page.html") as answer:
        page = answer.read().decode()
    assert page == '<html><body>é<script src="/_reload.js"></script></body></html>'
    with urlopen(f"{address}/_reload.js") as answer:
        assert "location.reload()" in answer.read().decode()
    with urlopen(f"{address}/style.css") as answer:
        assert answer.read() == b"a {}"


def test_an_open_page_is_told_of_a_build(site):
    with urlopen(f"http://127.0.0.1:{site.server_port}/_changes") as answer:
        site.reload()
        assert answer.readline() == b"data: built\n"


def test_an_edit_is_seen_once_it_is_over(tmp_path):
    for folder in ("book", "src", "benchmarks/results"):
        (tmp_path / folder).mkdir(parents=True)
    page = tmp_path / "book" / "gates.md"
    page.write_text("old")
    found = watch.changes(tmp_path, {page: 0})
    assert next(found) == {page}


@pytest.mark.parametrize(
    ("files", "options"),
    [
        (["book/gates.md"], ["--changed"]),
        (["book/gates.md", "src/bptt/cells.py", "benchmarks/results/a.json"], ["--changed"]),
        (["book/gates.md", "_toc.yml"], []),
        (["src/booktools/style.py"], []),
        (["book/references.bib"], []),
        (["book/gone.md"], []),
    ],
)
def test_what_changes_decides_what_is_built(files, options, tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "gates.md").touch()
    assert watch.options(tmp_path, {tmp_path / file for file in files}) == options
