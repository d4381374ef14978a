"""Build the book a second time, from nothing, and compare every byte with the site that stands.

``python -m booktools.reproducible [folder]``. Exits with 1 and the names of the files that differ.
With ``--written`` chapters are not executed again: only what is made of their outputs is compared.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from .cache import EXECUTED


def main() -> int:
    """Build, remember, build again from nothing, compare; 0 if nothing differs."""
    parser = argparse.ArgumentParser(prog="booktools.reproducible", description="Build twice.")
    parser.add_argument("folder", nargs="?", default=".", type=Path)
    parser.add_argument("--written", action="store_true", help="keep the outputs of chapters")
    asked = parser.parse_args()
    root = asked.folder.resolve()
    first = build(root)
    for path in list((root / "_build").iterdir()):
        if path.is_file():
            path.unlink()
        elif not (asked.written and path.name == EXECUTED):
            shutil.rmtree(path)
    second = build(root)
    differ = sorted(path for path in first.keys() | second if first.get(path) != second.get(path))
    for path in differ:
        print(f"differs: {path}", file=sys.stderr)
    if not differ:
        print(f"Both builds gave the same {len(first)} files, byte for byte.")
    return 1 if differ else 0


def build(root: Path) -> dict[str, str]:
    """Build the book; the hash of each file of the site, but for Sphinx's note to itself, which
    depends on the folder.
    """
    subprocess.run([sys.executable, "-m", "booktools.build", str(root)], check=True)
    html = root / "_build" / "html"
    return {
        str(path.relative_to(html)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in html.rglob("*")
        if path.is_file() and path.name != ".buildinfo"
    }


if __name__ == "__main__":
    sys.exit(main())
