"""Show the site, build it again as files change, and reload the page in the browser.

``python -m booktools.watch [folder] [--port N]``. Chapters, the package and its experiments lead to
the pages that have changed; anything else, such as the style, to all of the site.
"""

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .cache import MEASURED, sources

PAUSE = 0.3  # seconds between two looks, and until a series of changes has come to an end
# A script of the site's own host, which is all that the pages' policy allows.
RELOAD = b'new EventSource("/_changes").onmessage = () => location.reload();'
TAG = b'<script src="/_reload.js"></script></body>'


class Site(ThreadingHTTPServer):
    """The site on this machine alone; its pages reload when it has been built."""

    daemon_threads = True

    def __init__(self, html: Path, port: int) -> None:
        super().__init__(("127.0.0.1", port), partial(Handler, directory=str(html)))
        self.built, self.changed = 0, threading.Condition()

    def reload(self) -> None:
        """Let every page that is open load itself again."""
        with self.changed:
            self.built += 1
            self.changed.notify_all()


class Handler(SimpleHTTPRequestHandler):
    """Files, with a script more in each page."""

    server: Site

    def do_GET(self) -> None:
        if self.path == "/_changes":
            self.wait()
        elif self.path == "/_reload.js":
            self.answer("text/javascript", RELOAD)
        elif (page := Path(self.translate_path(self.path))).suffix == ".html" and page.is_file():
            self.answer("text/html", page.read_bytes().replace(b"</body>", TAG))
        else:
            super().do_GET()

    def answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def wait(self) -> None:
        """Say so when the site has been built."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        built = self.server.built
        self.end_headers()
        with self.server.changed:
            self.server.changed.wait_for(lambda: self.server.built > built)
        self.wfile.write(b"data: built\n\n")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what is built is said, and what is looked at is not."""


def seen(root: Path) -> dict[Path, int]:
    """When each source was last written."""
    return {path: path.stat().st_mtime_ns for path in sources(root) if path.exists()}


def changes(root: Path, before: dict[Path, int]) -> Iterator[set[Path]]:
    """The files that have changed, each time that some have, and the writing is over."""
    while True:
        time.sleep(PAUSE)
        now = seen(root)
        if now == before:
            continue
        time.sleep(PAUSE)
        while (later := seen(root)) != now:
            now = later
            time.sleep(PAUSE)
        yield {path for path, _ in before.items() ^ now.items()}
        before = now


def options(root: Path, changed: set[Path]) -> list[str]:
    """How to build after a change: the pages that it has changed, or all."""
    folders = (root / "src" / "bptt", root / "src" / "experiments", root / MEASURED)
    for path in changed:
        in_page = path.suffix == ".md" and path.is_relative_to(root / "book") and path.is_file()
        if not in_page and not any(path.is_relative_to(folder) for folder in folders):
            return []
    return ["--changed"]


def main() -> int:
    """Build, serve, and build again until interrupted."""
    parser = argparse.ArgumentParser(prog="booktools.watch", description="Build as files change.")
    parser.add_argument("folder", nargs="?", default=".", type=Path)
    parser.add_argument("--port", type=int, default=8000)
    asked = parser.parse_args()
    root = asked.folder.resolve()
    build = [sys.executable, "-m", "booktools.build", str(root)]
    before = seen(root)
    subprocess.run(build, check=False)
    site = Site(root / "_build" / "html", asked.port)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    print(f"Shown at http://127.0.0.1:{site.server_port}/ until Ctrl-C", flush=True)
    try:
        for changed in changes(root, before):
            names = sorted(path.relative_to(root).as_posix() for path in changed)
            print("Changed:", ", ".join(names), flush=True)
            if subprocess.run([*build, *options(root, changed)], check=False).returncode == 0:
                site.reload()
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
