"""What surrounds the book: how it gets its npm packages, how JupyterLab starts, what forks need."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from types import SimpleNamespace

import jupytext
import pytest
import yaml
from sphinx.errors import ExtensionError

from booktools import mathematics, theme

ROOT = Path(__file__).parents[2]
JUPYTER = ROOT / "jupyter"
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml"))
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def parsed(name):
    return yaml.safe_load(read(name))


# What comes from npm


def lock(root, packages):
    """A folder whose lock asks for these packages, each at a version."""
    entries = {f"node_modules/{name}": package for name, package in packages.items()}
    text = json.dumps({"packages": {"": {"license": "MIT"}, **entries}})
    (root / "package-lock.json").write_text(text)
    return entries


def installed(root, entries):
    (root / "node_modules").mkdir(exist_ok=True)
    account = root / "node_modules/.package-lock.json"
    account.write_text(json.dumps({"packages": entries}))


def test_nothing_is_missing_here():
    assert mathematics.missing(ROOT) == []


def test_what_is_missing_is_named(tmp_path):
    entries = lock(
        tmp_path,
        {
            "katex": {"version": "2.0.0"},
            "esbuild-wasm": {"version": "1.0.0"},
            "axe": {"version": "3.0.0"},
        }
        | {"pyright": {"version": "1.0.0", "dev": True}},
    )
    assert mathematics.missing(tmp_path) == ["katex", "esbuild-wasm", "axe"]
    older = {name: entries[name] for name in entries if "axe" not in name and "py" not in name}
    installed(tmp_path, older | {"node_modules/katex": {"version": "1.0.0"}})
    assert mathematics.missing(tmp_path) == ["katex", "axe"]
    installed(tmp_path, entries)
    assert mathematics.missing(tmp_path) == []


def npm(folder, code):
    """A program in place of npm."""
    program = folder / "npm"
    program.write_text(f"#!{sys.executable}\nimport pathlib, sys\n{code}")
    program.chmod(0o755)
    return str(program)


def test_the_build_fetches_the_locked_packages(tmp_path, monkeypatch):
    entries = lock(tmp_path, {"katex": {"version": "2.0.0"}})
    code = f"""
assert sys.argv[1:] == {[*mathematics.INSTALL]}
assert pathlib.Path("package-lock.json").is_file()
pathlib.Path("node_modules").mkdir()
pathlib.Path("node_modules/.package-lock.json").write_text('{json.dumps({"packages": entries})}')
"""
    monkeypatch.setattr(mathematics, "program", lambda name: npm(tmp_path, code))
    mathematics.fetch(tmp_path)
    assert mathematics.missing(tmp_path) == []


def test_it_fetches_nothing_that_is_there(tmp_path, monkeypatch):
    installed(tmp_path, lock(tmp_path, {"katex": {"version": "2.0.0"}}))
    monkeypatch.setattr(mathematics, "program", lambda name: pytest.fail("npm was called"))
    mathematics.fetch(tmp_path)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (None, "there is no npm beside Python"),
        ("sys.exit('npm error: \\u2717 no network')", "npm error: .* no network"),
        ("pass", ""),  # npm is content, and has brought nothing
    ],
)
def test_without_them_it_stops_and_says_what_to_run(tmp_path, monkeypatch, code, said):
    lock(tmp_path, {"katex": {"version": "2.0.0"}})
    monkeypatch.setattr(mathematics, "program", lambda name: code and npm(tmp_path, code))
    wanted = "(?s)katex from npm.*run: pip install -r requirements.txt && npm ci --omit=dev.*"
    with pytest.raises(ExtensionError, match=wanted + said):
        mathematics.fetch(tmp_path)


def test_the_fetch_is_the_one_of_make():
    assert f"npm ci --loglevel=error {' '.join(mathematics.INSTALL[1:])}\n\t@touch" in read(
        "Makefile"
    )


def test_no_page_can_fall_back_to_another_host(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(mathematics, "fetch", calls.append)
    config = SimpleNamespace()
    mathematics.choose(SimpleNamespace(confdir=str(tmp_path)), config)
    assert config.html_math_renderer == "katex"
    assert calls == [tmp_path]
    assert "default-src 'self'" in theme.POLICY


@pytest.mark.parametrize("name", ["bundle", "images", "mathematics", "offers", "pdf", "site"])
def test_files_and_programs_are_read_and_written_alike_on_every_system(name):
    tree = ast.parse(read(f"src/booktools/{name}.py"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    texts = ("read_text", "write_text", "run", "Popen")
    found = [call for call in calls if getattr(call.func, "attr", "") in texts]
    assert found
    for call in found:
        given = {one.arg for one in call.keywords}
        assert "encoding" in given, ast.unparse(call)
        if call.func.attr == "write_text" and name != "bundle":  # whose note is its own
            assert "newline" in given, ast.unparse(call)


def test_git_gives_every_system_the_same_ends_of_lines():
    assert "* text=auto eol=lf" in read(".gitattributes").splitlines()


# JupyterLab


def test_yarn_of_jupyterlab_runs_below_the_folder_of_package_json():
    yarn = distribution("jupyter_builder").locate_file("jupyter_builder/yarn.js")
    command = [str(mathematics.node()), str(yarn), "--version"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", run.stdout), run.stderr


@pytest.fixture
def lab():
    """What the settings of ``make lab`` set."""
    path = JUPYTER / "jupyter_server_config.py"
    c = SimpleNamespace(ServerApp=SimpleNamespace(), LabApp=SimpleNamespace())
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), {"c": c, "__file__": str(path)})
    return c


def test_the_lab_starts_on_a_page_with_the_chapters_in_order(lab):
    assert lab.LabApp.default_url == "/lab/tree/_build/start.md"
    assert lab.ServerApp.root_dir == str(ROOT)
    page = jupytext.read(ROOT / "_build/start.md")
    assert page.metadata.kernelspec.name == "python3"  # or the lab asks for one
    (cell,) = page.cells
    found = re.findall(r"^(\d+\.|-) \[(.+)\]\(\.\./(.+)\.md\)$", cell.source, re.MULTILINE)
    parts = parsed("_toc.yml")["parts"]
    order = [file["file"] for part in parts for file in part["chapters"]]
    counted = {file["file"] for part in parts if "numbered" in part for file in part["chapters"]}
    notebooks = [page for page in order if "{code-cell}" in read(f"{page}.md")]
    assert [page for _, _, page in found] == notebooks
    for mark, title, page in found:
        assert f"\n# {title}\n" in read(f"{page}.md")
        numbered = mark != "-"
        assert numbered == (page in counted)
        assert not numbered or order[int(mark[:-1]) - 1] == page
    assert cell.source.startswith(f"# {parsed('_config.yml')['title']}\n")


def test_the_lab_runs_as_root_and_asks_nobody_for_news(lab):
    assert lab.ServerApp.allow_root is True
    settings = json.loads((JUPYTER / "labconfig/default_setting_overrides.json").read_bytes())
    news = settings["@jupyterlab/apputils-extension:notification"]
    assert news == {"checkForUpdates": False, "fetchNews": "false"}


def test_a_chapter_that_the_lab_saves_keeps_its_description():
    options = tomllib.loads(read("pyproject.toml"))["tool"]["jupytext"]
    config = jupytext.config.JupytextConfiguration(**options)
    page = jupytext.read(ROOT / "book/how-checked.md", config=config)
    page.metadata["language_info"] = {"name": "python", "version": "3.11.7"}  # the kernel's
    front = jupytext.writes(page, "md:myst", config=config).split("---\n")[1]
    assert yaml.safe_load(front) == yaml.safe_load(read("book/how-checked.md").split("---\n")[1])


# Those who take part


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_a_form_asks_for_what_is_needed(form):
    content = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= {*content}
    fields = [field for field in content["body"] if field["type"] != "markdown"]
    names = [field["id"] for field in fields]
    assert len(names) == len({*names})
    assert all(field["attributes"]["label"] for field in fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_the_forms_are_those_that_contributing_names():
    assert [form.stem for form in FORMS] == ["book", "erratum", "package", "question"]
    assert parsed(".github/ISSUE_TEMPLATE/config.yml") == {"blank_issues_enabled": True}
    (book,) = (form for form in FORMS if form.stem == "book")
    labels = [field["attributes"]["label"] for field in parsed(book)["body"]]
    assert labels[:2] == ["Chapter", "Equation, figure or section"]


def test_dependabot_looks_where_there_are_locks():
    updates = parsed(".github/dependabot.yml")["updates"]
    kinds = {update["package-ecosystem"]: update for update in updates}
    assert {*kinds} == {"github-actions", "npm", "pip"}
    for folder in kinds["npm"]["directories"]:
        assert (ROOT / folder.strip("/") / "package-lock.json").is_file()
    assert kinds["pip"]["open-pull-requests-limit"] == 0  # constraints.txt moves as a whole


def test_the_hooks_of_a_commit_are_part_of_make_check_with_the_locked_tools():
    (repository,) = parsed(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"  # so that no version stands here
    for hook in repository["hooks"]:
        python, module, name = hook["entry"].split()[:3]
        assert (python, module, hook["language"]) == (".venv/bin/python", "-m", "system")
        assert re.search(rf"^{name.removesuffix('_lib')}==", read("requirements-dev.txt"), re.M)
        assert f"$(BIN)/{hook['name']}" in read("Makefile")
        run = [sys.executable, "-m", name, "--version"]
        subprocess.run(run, check=True, capture_output=True)


def test_the_dev_container_has_a_python_that_is_tested():
    container = json.loads(read(".devcontainer/devcontainer.json"))
    (version,) = re.findall(r"/python:(3\.\d+)$", container["image"])
    assert (
        version
        in parsed(".github/workflows/book.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    )
    target = container["onCreateCommand"].split()[-1]
    assert f"\n{target}: " in read("Makefile")


def test_every_python_that_is_named_is_tested():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    named = re.findall(r":: (3\.\d+)", "\n".join(project["classifiers"]))
    matrix = parsed(".github/workflows/book.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == named
    assert project["requires-python"] == f">={named[0]}"
    assert f"for Python {named[0]} to {named[-1]}." in read("constraints.txt")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_use_actions_at_fixed_commits(workflow):
    used = re.findall(r"uses: (.+)", workflow.read_text(encoding="utf-8"))
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+", action) for action in used)


def test_links_of_the_pages_at_the_root_lead_somewhere():
    for page in sorted([*ROOT.glob("[A-Z]*.md"), ROOT / ".github/PULL_REQUEST_TEMPLATE.md"]):
        text = page.read_text(encoding="utf-8")
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]+))?\)", text):
            assert (page.parent / target).is_file(), (page, target)
            if anchor:
                headings = re.findall(r"^#+ (.+)$", (page.parent / target).read_text("utf-8"), re.M)
                assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


# "Publish your fork"


def test_what_the_page_for_forks_names_is_there():
    page = read("book/publish.md")
    for name in re.findall(r"`([\w./-]+\.(?:yml|cff|md|toml|py|txt))`", page):
        if name != "book.css":
            found = (ROOT / name).is_file() or (ROOT / ".github/workflows" / name).is_file()
            assert found, name
    for target in re.findall(r"`?make ([\w-]+)", page):
        assert re.search(rf"^{target}:", read("Makefile"), re.M), target
    workflow = read(".github/workflows/book.yml")
    assert re.search(r"^  BOOK_URL: ", workflow, re.M)
    assert re.search(r"^  BOOK_URL: ", read(".github/workflows/release.yml"), re.M)
    assert {"test", "proofs", "notebooks", "publish"} == {
        *parsed(".github/workflows/book.yml")["jobs"]
    }
    assert "vars.PUBLISH == 'true'" in read(".github/workflows/release.yml")
    for module in re.findall(r"-m (booktools\.\w+)", page):
        assert (ROOT / "src" / f"{module.replace('.', '/')}.py").is_file()
