"""Bring what Python in the browser needs: ``python -m booktools.live.wheels [folder]``.

Pyodide's core comes with npm. Of the wheels that it was built with, no index has those that hold
compiled code: they come from its distribution's own address, or from a folder, and each must have
the SHA-256 that npm's lock of Pyodide says. Wheels of Python alone come from the index, by hash.
What is brought stands in ``.live``; with it, the next build makes the cells of the book live.
"""

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from packaging.utils import parse_wheel_filename

DISTRIBUTION = "https://cdn.jsdelivr.net/pyodide/v{version}/full/"  # as Pyodide itself has it
COMPILED = ("numpy", "contourpy", "kiwisolver", "pillow", "matplotlib")
LOCKED = Path(__file__).with_name("wheels.txt")
# What the pages' figures never ask for, of 6.7 MB: other typefaces, sample data, windows, PDF.
SPARE = re.compile(
    r"matplotlib/(mpl-data/(sample_data|images|fonts/(afm|pdfcorefonts))/|tests/|testing/"
    r"|mpl-data/fonts/ttf/(DejaVuSerif|DejaVuSansMono-|DejaVuSans-BoldOblique|DejaVuSansDisplay)"
    r"|backends/(web_backend|qt_editor|backend_(gtk|qt|wx|tk|web|nbagg|macosx|cairo|pgf|ps|pdf)))"
)
CORE = ("pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip")


class WrongHash(ValueError):
    """A file that is not the one that was locked."""


def compiled(package: dict[str, Any], version: str, folder: Path | None) -> bytes:
    """A wheel of Pyodide's distribution, from a folder or its address; WrongHash if it differs."""
    name = package["file_name"]
    if folder:
        data = (folder / name).read_bytes()
    else:
        with urlopen(DISTRIBUTION.format(version=version) + name, timeout=60) as answer:
            data = answer.read()
    found = hashlib.sha256(data).hexdigest()
    if found != package["sha256"]:
        raise WrongHash(f"{name}: got SHA-256 {found}, needs {package['sha256']}")
    return bytes(data)


def pure(target: Path) -> None:
    """Wheels without compiled code; pip compares their hashes."""
    command = (sys.executable, "-m", "pip", "--disable-pip-version-check", "download")
    options = ("--quiet", "--no-deps", "--only-binary=:all:", "--python-version=3.12")
    files = ("--require-hashes", "-d", str(target), "-r", str(LOCKED))
    subprocess.run([*command, *options, *files], check=True)


def lightened(wheel: bytes) -> bytes:
    """Matplotlib's wheel without what no page of the book asks for."""
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(wheel)) as old, zipfile.ZipFile(sink, "w") as new:
        left = [item for item in old.infolist() if not SPARE.match(item.filename)]
        if len(left) == len(old.infolist()):
            raise ValueError("matplotlib: got no file to leave out, needs some: has it changed?")
        for item in left:
            copy = zipfile.ZipInfo(item.filename, (1980, 1, 1, 0, 0, 0))
            new.writestr(copy, old.read(item), zipfile.ZIP_DEFLATED, 9)
    return sink.getvalue()


def entry(file: Path) -> dict[str, Any]:
    """What Pyodide's loader must know of a wheel, but for what it depends on."""
    name, version, *_ = parse_wheel_filename(file.name)
    with zipfile.ZipFile(file) as archive:
        tops = {Path(path).parts[0] for path in archive.namelist() if path.endswith((".py", ".so"))}
    imports = {top.split(".")[0] for top in tops if not top.endswith(".dist-info")}
    return {
        "name": name,
        "version": str(version),
        "file_name": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "size": file.stat().st_size,
        "imports": sorted(imports),
        "install_dir": "site",
        "package_type": "package",
        "unvendored_tests": False,
    }


def bring(root: Path, folder: Path | None) -> Path:
    """All that a site with live cells serves of Python; the folder in which it stands."""
    source = root / "node_modules" / "pyodide"
    lock = json.loads((source / "pyodide-lock.json").read_text(encoding="utf-8"))
    packages, version = lock["packages"], lock["info"]["version"]
    target = root / ".live"
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory() as kept:  # nothing stands half brought
        new = Path(kept) / "live"
        new.mkdir()  # the folder above is closed to all others, and a copy would be
        for name in COMPILED:
            data = compiled(packages[name], version, folder)
            data = lightened(data) if name == "matplotlib" else data
            (new / packages[name]["file_name"]).write_bytes(data)
        pure(new)
        entries = {one["name"]: one for one in map(entry, new.glob("*.whl"))}
        for name, one in entries.items():  # of what is not brought, no cell asks for anything
            known = packages.get(name, {}).get("depends", [])
            one["depends"] = [other for other in known if other in entries]
        for name in CORE:
            shutil.copyfile(source / name, new / name)
        text = json.dumps({"info": lock["info"], "packages": entries}, indent=1, sort_keys=True)
        (new / "pyodide-lock.json").write_text(text, encoding="utf-8")
        shutil.copytree(new, target)
    return target


def main() -> int:
    """Bring all; 1, and why, if something cannot be had or is not what was locked."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1] else None
    try:
        target = bring(Path.cwd(), folder)
    except (OSError, WrongHash, subprocess.CalledProcessError) as error:
        print(f"Live cells need what cannot be had: {error}", file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in target.iterdir())
    print(f"{len(list(target.glob('*.whl')))} wheels and Pyodide, {size / 1e6:.0f} MB: {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
