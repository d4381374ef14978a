"""Live cells without a browser: what is brought, what is served, what a cell needs and gives."""

import ast
import hashlib
import importlib
import io
import json
import sys
import zipfile
from pathlib import Path

import pytest

from booktools import live
from booktools.live import wheels
from booktools.live.waiting import Imports

ROOT = Path(__file__).parents[2]
NEEDS = {"style": ["matplotlib"], "bptt": ["numpy"], "bptt.figures": ["matplotlib", "numpy"]}
THERE = ["matplotlib", "numpy", "sympy"]

# What make live brings


def wheel(**files: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/", 1), text)
    return sink.getvalue()


def described(data: bytes) -> dict[str, str]:
    return {"file_name": "a-1.whl", "sha256": hashlib.sha256(data).hexdigest()}


def test_a_wheel_is_the_one_that_was_locked(tmp_path):
    (tmp_path / "a-1.whl").write_bytes(b"one")
    assert wheels.compiled(described(b"one"), "1", tmp_path) == b"one"
    with pytest.raises(wheels.WrongHash, match=r"a-1\.whl: got SHA-256 7692c3ad.*, needs 3fc4ccfe"):
        wheels.compiled(described(b"two"), "1", tmp_path)


def test_what_cannot_be_had_is_named_and_nothing_stands_half_brought(tmp_path, monkeypatch, capsys):
    source = tmp_path / "node_modules" / "pyodide"
    source.mkdir(parents=True)
    packages = {name: described(name.encode()) for name in wheels.COMPILED}
    lock = {"info": {"version": "1"}, "packages": packages}
    (source / "pyodide-lock.json").write_text(json.dumps(lock))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["wheels", str(tmp_path / "nowhere")])
    assert wheels.main() == 1
    assert "a-1.whl" in capsys.readouterr().err
    assert live.brought(tmp_path) is None


def test_matplotlib_is_lightened_alike_each_time_or_not_at_all():
    heavy = wheel(
        matplotlib__pyplot="import os", **{"matplotlib__mpl-data/sample_data/x": "0" * 99}
    )
    light = wheels.lightened(heavy)
    assert zipfile.ZipFile(io.BytesIO(light)).namelist() == ["matplotlib/pyplot"]
    assert wheels.lightened(heavy) == light
    with pytest.raises(ValueError, match="got no file to leave out"):
        wheels.lightened(light)


def test_wheels_of_python_alone_are_at_the_versions_of_the_book():
    pins = dict(
        line.split(" ")[0].split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line and not line.startswith("#")
    )
    lines = [one for one in wheels.LOCKED.read_text().splitlines() if not one.startswith("#")]
    own = dict(line.split(" ")[0].split("==") for line in lines)
    assert all("--hash=sha256:" in line for line in lines)
    differ = {name for name, version in own.items() if pins.get(name) != version}
    assert differ == {"python-dateutil"}  # as the file says


# What a cell needs


def run(imports: Imports, code: str) -> tuple[list[str], list[str]]:
    """What is loaded for a cell, and the statements that then run."""
    tree = ast.parse(code)
    wanted = imports.wanted(tree)
    imports.loaded |= {*wanted}
    return wanted, [ast.unparse(statement) for statement, _ in imports.begin(tree, "")]


def test_an_import_waits_until_a_name_is_used():
    imports = Imports(NEEDS, THERE)
    imports.loaded = {"numpy"}
    first = "import numpy as np\nimport sympy\nimport matplotlib.pyplot as plt"
    assert run(imports, f"{first}\nimport style\nstyle.use()") == ([], ["import numpy as np"])
    assert run(imports, "x = np.ones(2)") == ([], ["x = np.ones(2)"])
    assert run(imports, "sympy.Symbol('a')") == (["sympy"], ["import sympy", "sympy.Symbol('a')"])
    # the style is used before the first figure, though this cell does not name it
    drawn = ["import matplotlib.pyplot as plt", "import style", "style.use()", "plt.plot(x)"]
    assert run(imports, "plt.plot(x)") == (["matplotlib"], drawn)
    assert run(imports, "plt.plot(x)") == ([], ["plt.plot(x)"])


def test_a_cell_that_uses_what_it_imports_does_all_at_once():
    imports = Imports(NEEDS, THERE)
    code = "import sympy\na = sympy.Symbol('a')"
    assert run(imports, code) == (["sympy"], code.splitlines())


def test_a_name_in_a_function_counts_and_what_cannot_be_had_does_not_wait():
    imports = Imports(NEEDS, THERE)
    assert run(imports, "import sympy") == ([], [])
    code = "def f():\n    return sympy.pi"
    assert run(imports, code) == (["sympy"], ["import sympy", code])
    assert run(imports, "import nowhere") == ([], ["import nowhere"])


def test_modules_of_the_book_bring_what_they_import():
    needs = live.needs(ROOT)
    assert needs["bptt"] == ["numpy"]  # so a first cell loads no more
    assert {"matplotlib", "numpy"} <= {*needs["bptt.figures"]}
    assert {"joblib", "tqdm"} <= {*needs["experiments.gates"]}
    assert "tabulate" in needs["booktools.tables"]


# What a cell gives


@pytest.fixture
def runner(monkeypatch):
    """The module that runs cells, with the stand-ins, as in the browser."""
    for name in [*sys.modules]:
        if name.partition(".")[0] in ("IPython", "matplotlib_inline", "myst_nb"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "booktools.live.runner", raising=False)
    monkeypatch.syspath_prepend(str(live.STAND_INS))
    yield importlib.import_module("booktools.live.runner")
    for name in ("booktools.live.runner", "IPython.display", "IPython", "myst_nb"):
        sys.modules.pop(name, None)


def given(runner, code, number=1):
    return json.loads(runner.run(code, number))


def test_prints_values_and_names_go_from_cell_to_cell(runner):
    assert given(runner, "a = 2\nprint('one')\nprint('two')\na + 1") == [
        {"text": "one\ntwo\n"},
        {"value": "3"},
    ]
    assert given(runner, "a * 10") == [{"value": "20"}]
    assert given(runner, "a;") == []
    assert given(runner, "") == []


def test_a_check_is_told_from_what_is_printed(runner):
    code = "from bptt import verified\nverified('eq-a', 1.0, 1.0, tol=0)\nprint('rest')"
    check = {"check": "eq-a", "found": "largest relative difference 0"}
    assert given(runner, code) == [check, {"text": "rest\n"}]


def test_an_equation_that_fails_says_both_values(runner):
    code = "from bptt import verified\n\nverified('eq-a', [1.0, 3.0], [1.0, 2.0], tol=0)"
    (output,) = given(runner, code)
    assert output["fails"] == "eq-a"
    assert output["line"] == 3
    assert "left is 3, right is 2" in output["found"]


@pytest.mark.parametrize(
    ("code", "line", "said"),
    [
        ("x = 1\n1 / 0", 2, "ZeroDivisionError"),
        ("x = (", 1, "SyntaxError"),
        ("import nowhere", 1, "nowhere"),
    ],
)
def test_an_error_names_its_line(runner, code, line, said):
    (output,) = given(runner, code)
    assert output["line"] == line
    assert said in output["error"]


def test_what_was_printed_before_an_error_stays(runner):
    first, second = given(runner, "print('so far')\n1 / 0")
    assert first == {"text": "so far\n"}
    assert "error" in second


def test_tables_come_as_markdown_and_what_is_displayed_in_its_order(runner):
    code = """
from booktools.tables import Table
from IPython.display import display
display(1)
print("between")
Table("A finding.", {"$n$": [1]})
"""
    *before, table = given(runner, code)
    assert before == [{"value": "1"}, {"text": "between\n"}]
    assert table["markdown"].startswith("~~~{table} A finding.")


# What the site serves


@pytest.mark.parametrize("page", sorted((ROOT / "book").glob("*.md")), ids=lambda page: page.stem)
def test_each_cell_that_is_served_is_python(page):
    for cell in live.cells(page):
        ast.parse(cell["source"])


def test_what_cells_import_and_read_is_in_the_zips():
    names = {*live.sources(ROOT), *live.matching(ROOT, *live.LARGE)}
    assert {"src/bptt/__init__.py", "src/booktools/tables.py", "src/IPython/display.py"} <= names
    assert {"src/experiments/results/reading.jsonl", "benchmarks/results/growth.json"} <= names
    assert not any("live/__init__" in name or "__pycache__" in name for name in names)
