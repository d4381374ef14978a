"""What an installation brings: the files that are distributed, in an environment with NumPy alone.

``DIST`` names a folder with an sdist and a wheel to be tested; by default both are built here.
"""

import csv
import email
import importlib.metadata
import inspect
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import bptt

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODULES = {f"bptt/{path.name}" for path in (ROOT / "src/bptt").iterdir() if path.is_file()}
ADDRESSES = {
    "GITHUB_REPOSITORY": "owner/name",
    "BOOK_URL": "https://owner.example.org/name/",
}

FIT = """
import numpy as np
import bptt

def sample(rng):  # which sign had the number of the step before?
    x = rng.standard_normal((6, 16, 1))
    target = np.concatenate([np.zeros((1, 16), int), (x[:-1, :, 0] > 0).astype(int)])
    return bptt.Batch(x, target, np.arange(6)[:, None] + np.zeros(16) > 0)

rng = np.random.default_rng(0)
network = bptt.init_network(bptt.GRU, 1, 8, 2, rng=rng)
adam = bptt.adam(0.03)
done = bptt.fit(bptt.GRU, network, sample, bptt.cross_entropy, adam, steps=200, rng=rng{bar})
assert done.history.losses[0] > 0.6 and done.history.losses[-1] < 0.3, done.history.losses
"""


def run(*command, cwd=ROOT, **environment):
    """What the command prints; its words in the message if it fails."""
    outside = {name: value for name, value in os.environ.items() if name not in ADDRESSES}
    outside = {name: value for name, value in outside.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=outside | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def build(folder, source=ROOT, what=("sdist", "wheel"), **environment):
    targets = [word for target in what for word in ("-t", target)]
    hatchling = (sys.executable, "-m", "hatchling", "build", "-d", folder)
    run(*hatchling, *targets, cwd=source, **environment)
    return folder


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """A folder with one sdist and one wheel."""
    if given := os.environ.get("DIST"):
        return Path(given).resolve()
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def wheel(dist):
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def unpacked(dist, tmp_path_factory):
    """The folder of the sdist's files."""
    (found,) = dist.glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(found) as archive:
        archive.extractall(folder, filter="data")
    return folder / found.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def empty(wheel, tmp_path_factory):
    """An environment that holds NumPy, linked from here, and the wheel; what the wheel added."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    numpy = importlib.metadata.distribution("numpy")
    for name in {file.parts[0] for file in numpy.files if file.parts[0] != ".."}:
        (site / name).symlink_to(numpy.locate_file(name))
    before, python = {*site.iterdir()}, folder / "bin/python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    run(*pip, "install", "--no-index", "--no-cache-dir", wheel)  # fails if it needs more than NumPy
    return python, {path.name for path in {*site.iterdir()} - before}


def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        return email.message_from_bytes(archive.read(name))


# What is in the files


def test_the_wheel_holds_the_package_and_its_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {*archive.namelist()}
        (record,) = (name for name in names if name.endswith("/RECORD"))
        recorded = {row[0] for row in csv.reader(io.StringIO(archive.read(record).decode()))}
    info = f"product_rule_in_rnns-{bptt.__version__}.dist-info"
    described = {f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")}
    assert names == recorded == MODULES | described
    assert "bptt/py.typed" in names


def test_the_sdist_holds_the_package_and_its_tests_alone(unpacked):
    paths = [path for path in unpacked.rglob("*") if path.is_file()]
    files = {path.relative_to(unpacked).as_posix() for path in paths}
    assert {f"src/{name}" for name in MODULES} <= files
    assert {"README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "hatch_build.py"} <= files
    assert {name.split("/")[0] for name in files if "/" in name} == {"src", "tests"}
    tests = {path.name: path.read_text(encoding="utf-8") for path in paths if "tests" in path.parts}
    assert {"oracle.py", "program.py", "test_cells.py"} <= {*tests}
    assert not [name for name, text in tests.items() if "parents[1]" in text]  # read the tree
    assert sum(path.stat().st_size for path in paths) < 600_000


def test_the_tests_of_the_sdist_need_nothing_that_it_lacks(unpacked):
    """They are collected, in an interpreter that cannot import the rest of the repository."""
    hidden = "import sys; sys.modules |= dict.fromkeys(['booktools', 'experiments']); import pytest"
    collect = f"{hidden}; sys.exit(pytest.main(['-q', '--collect-only', '-p', 'no:cacheprovider']))"
    said = run(sys.executable, "-c", collect, cwd=unpacked, PYTHONPATH=str(unpacked / "src"))
    assert re.search(r"\d{3,} tests collected", said), said


def test_a_wheel_from_the_sdist_is_that_of_the_tree(wheel, unpacked, tmp_path):
    (again,) = build(tmp_path, unpacked, ["wheel"]).iterdir()
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


@pytest.mark.parametrize("epoch", [{}, {"SOURCE_DATE_EPOCH": "1764288000"}])
def test_two_builds_are_the_same_to_the_last_byte(tmp_path, epoch):
    folders = build(tmp_path / "a", **epoch), build(tmp_path / "b", **epoch)
    first, second = ({f.name: f.read_bytes() for f in folder.iterdir()} for folder in folders)
    assert first == second
    assert len(first) == 2


def test_building_leaves_nothing_in_the_tree(tmp_path):
    def left():
        return {*ROOT.glob("build"), *ROOT.glob("dist"), *ROOT.glob("src/*.egg-info")}

    before = left()
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation")
    run(*pip, "--disable-pip-version-check", "--quiet", "-w", tmp_path, ROOT)
    assert left() == before
    assert [path.suffix for path in tmp_path.iterdir()] == [".whl"]


# What they say


def test_the_version_is_the_same_everywhere(wheel):
    version = bptt.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert metadata(wheel)["Version"] == version
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == version
    assert re.findall(r"version (\S+),", README) == [version]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\d\S+)", changes, re.MULTILINE)[0] == version


def test_archives_are_told_what_the_citation_says():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    told = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    assert told["title"] == cited["title"]
    assert told["keywords"] == cited["keywords"]
    assert told["description"] == cited["abstract"].strip()
    assert told["creators"] == [{"name": author["name"]} for author in cited["authors"]]
    assert told["license"] == cited["license"][0]


def test_numpy_is_the_only_requirement(wheel):
    said = metadata(wheel)
    needed = [line for line in said.get_all("Requires-Dist") if "extra ==" not in line]
    assert needed == ["numpy>=2.0"]
    assert said.get_all("Provides-Extra") == sorted(EXTRAS)
    assert said["Requires-Python"] == ">=3.11"
    assert said["Metadata-Version"] == "2.4"
    assert "Typing :: Typed" in said.get_all("Classifier")


@pytest.mark.parametrize("line", [*PROJECT["dependencies"], *chain(*EXTRAS.values())])
def test_what_the_package_asks_for_is_here_and_has_a_lower_bound_alone(line):
    need = Requirement(line)
    assert [bound.operator for bound in need.specifier] == [">="]
    assert need.specifier.contains(importlib.metadata.version(need.name))


def links(text):
    return re.findall(r"\]\(([^)]+)\)", text)


def test_an_index_page_has_addresses_where_there_are_any(tmp_path):
    """From the environment, as the book has them: links and pictures work without the tree."""
    (wheel,) = build(tmp_path, what=["wheel"], **ADDRESSES).iterdir()
    said, tag = metadata(wheel), f"v{bptt.__version__}"
    source = "https://github.com/owner/name"
    urls = dict(line.split(", ") for line in said.get_all("Project-URL"))
    assert urls == {
        "Changelog": f"{source}/blob/{tag}/CHANGELOG.md",
        "Documentation": ADDRESSES["BOOK_URL"],
        "Issues": f"{source}/issues",
        "Source": source,
    }
    found, written = links(said.get_payload()), links(README)
    raw = f"https://raw.githubusercontent.com/owner/name/{tag}"
    assert f"]({raw}/book/_static/page.png)" in said.get_payload()
    assert len(found) == len(written) > 4
    for absolute, relative in zip(found, written, strict=True):
        if absolute != relative:
            assert absolute in {f"{raw}/{relative}", f"{source}/blob/{tag}/{relative}"}
            assert (ROOT / relative).is_file()
        else:
            assert absolute.startswith("https://")


def test_no_address_is_made_up(tmp_path):
    (wheel,) = build(tmp_path, what=["wheel"]).iterdir()
    said = metadata(wheel)
    assert said.get_all("Project-URL") is None
    assert said.get_payload() == README


def test_an_sdist_keeps_the_addresses_it_was_made_with(tmp_path):
    build(tmp_path, **ADDRESSES)
    (sdist,), (wheel,) = tmp_path.glob("*.tar.gz"), tmp_path.glob("*.whl")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "sdist", filter="data")
    (source,) = (tmp_path / "sdist").iterdir()
    (again,) = build(tmp_path / "again", source, ["wheel"]).iterdir()
    assert again.read_bytes() == wheel.read_bytes()


# What an installation can do


def test_an_installation_adds_one_import_name(empty):
    _, added = empty
    assert added == {"bptt", f"product_rule_in_rnns-{bptt.__version__}.dist-info"}


def test_the_package_knows_its_version_and_its_names(empty, tmp_path):
    python, _ = empty
    code = "import bptt; from bptt import *; print(bptt.__version__, *bptt.__all__)"
    version, *names = run(python, "-c", code, cwd=tmp_path).split()
    assert version == bptt.__version__
    assert names == bptt.__all__


def test_the_example_of_the_readme_runs(empty, tmp_path):
    python, _ = empty
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    run(python, "-W", "error", "-c", example, cwd=tmp_path)


@pytest.mark.parametrize("bar", ["", ", progress=False"])
def test_fit_runs(empty, tmp_path, bar):
    python, _ = empty
    run(python, "-W", "error", "-c", FIT.format(bar=bar), cwd=tmp_path)


def test_figures_say_which_extra_they_need(empty, tmp_path):
    python, _ = empty
    code = "try: import bptt.figures\nexcept ImportError as error: print(error)"
    said = run(python, "-c", code, cwd=tmp_path)
    assert said == "needs matplotlib: pip install 'product-rule-in-rnns[figures]'\n"


def test_a_checkout_has_the_tools_of_the_book():
    """They are importable from an editable installation, and no wheel has them."""
    code = "import booktools, experiments, bptt; print(bptt.__file__)"
    assert Path(run(sys.executable, "-c", code, cwd="/").strip()).parents[2] == ROOT


def test_public_names_are_listed():
    public = {name for name, value in vars(bptt).items() if not inspect.ismodule(value)}
    assert {name for name in public if not name.startswith("_")} == {*bptt.__all__}
    assert len(bptt.__all__) == len({*bptt.__all__})


# The release


def steps_of_the_release():
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_release_uses_actions_at_fixed_commits():
    used = [step["uses"] for step in steps_of_the_release() if "uses" in step]
    assert len(used) > 4
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in used)


@pytest.mark.parametrize("tag", ["v0.0.1", "{}", "v{}.1", "v{}"])
def test_the_release_stops_at_another_version(tag, tmp_path):
    """Of the four, only the last is right; the date is put into a copy of the changelog."""
    (script,) = (step["run"] for step in steps_of_the_release() if step.get("id") == "version")
    for name in (".venv", "pyproject.toml", "src", "README.md", "hatch_build.py", "LICENSE"):
        (tmp_path / name).symlink_to(ROOT / name)
    heading = f"## {bptt.__version__} - "
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    dated = re.sub(f"{heading}.*", f"{heading}2026-12-31", changes)
    right = {"GITHUB_REF_NAME": tag.format(bptt.__version__)}
    for text, passes in ((dated, tag == "v{}"), (changes.replace(heading, "## "), False)):
        (tmp_path / "CHANGELOG.md").write_text(text, encoding="utf-8")
        done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=os.environ | right)
        assert (done.returncode == 0) == passes


def test_the_notes_of_a_release_are_what_the_changelog_says_of_it(tmp_path):
    (script,) = (step["run"] for step in steps_of_the_release() if step.get("id") == "notes")
    (tmp_path / "source").mkdir()
    shutil.copy(ROOT / "CHANGELOG.md", tmp_path / "source")
    for version, has, lacks in (
        ("0.3.0", "Errata", "`Partials.of`"),
        ("0.2.0", "`Partials.of`", "Errata"),
    ):
        tag = os.environ | {"GITHUB_REF_NAME": f"v{version}"}
        subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=tag, check=True)
        notes = (tmp_path / "notes.md").read_text(encoding="utf-8")
        assert has in notes
        assert lacks not in notes
        assert "\n## " not in notes


def test_the_release_tries_the_example_of_the_readme(empty, tmp_path):
    python, _ = empty
    (script,) = (step["run"] for step in steps_of_the_release() if step.get("id") == "example")
    (code,) = re.findall(r"<<'END'\n(.*)END", script, re.DOTALL)
    run(python, "-W", "error", "-c", code, cwd=tmp_path)
