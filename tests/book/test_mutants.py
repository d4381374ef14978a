"""Mutants: which functions have some, who is asked to notice them, and how they are counted."""

import tomllib
from pathlib import Path

from mutmut.mutation.file_mutation import mutate_file_contents

from booktools import mutants

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]


def mutants_of(decorator):
    code = f"{decorator}\ndef f(x):\n    return x + 1\n"
    return mutate_file_contents("f.py", code).mutant_names


def test_functions_under_errstate_have_mutants():
    plain = mutants_of("")
    assert len(plain) == 2  # x - 1 and x + 2
    assert mutants_of('@np.errstate(all="ignore")') == plain
    for other in ("@property", "@np.vectorize()", '@np.errstate(all="ignore")\n@property'):
        assert not mutants_of(other)


def test_the_table_counts_those_that_were_tried(tmp_path, monkeypatch):
    path = Path("src/bptt/lags.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mutants, "walk_mutatable_files", lambda: [Path("src/bptt/cells.py"), path])
    (tmp_path / "mutants" / path).parent.mkdir(parents=True)
    results = mutants.SourceFileMutationData(path=path)
    codes = {"killed": 1, "survived": 0, "no tests": 33, "out of time": 152, "not tried": None}
    results.exit_code_by_key = dict(codes)
    results.save()
    first, *others = mutants.table().splitlines()
    assert first.split() == ["lags", "2", "of", "4", "50.0%"]
    assert others == ["    survived: survived", "    no tests: no tests"]


def test_each_test_of_the_package_is_asked():
    """But for those of docstrings, and the slowest, which repeats what the others say."""
    asked = set(SETTINGS["pytest_add_cli_args_test_selection"])
    own = {f"tests/{path.name}" for path in (ROOT / "tests").glob("test_*.py")}
    assert own - asked == {"tests/test_docstrings.py", "tests/test_planted_gradients.py"}
    assert asked - own == {"tests/book/test_own_cells.py"}
