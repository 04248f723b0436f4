"""Find a Chromium for the browser tests, or install one where that is possible; its path goes to stdout.

Status 1 where there is none, with the reason on stderr: the tests are then left out, never failed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

# The headless shell is Chromium without a window around the page: a tab costs a third of what it does in the others.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
DEBIANS = ("chromium-headless-shell", "chromium")
INSTALL_WITHIN_S = 600


def main() -> int:
    """Print the path, or say why there is none."""
    path = find() or installed()
    if path is None:
        sys.stderr.write("Browser tests are left out: there is no Chromium, and none could be installed\n")
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


def find() -> str | None:
    """``CHROMIUM``, one on the PATH, or Playwright's own."""
    named = os.environ.get("CHROMIUM")
    if named and os.access(named, os.X_OK):
        return named
    for name in NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    return playwrights()


def playwrights() -> str | None:
    """The browser that ``playwright install chromium`` has put down."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def installed() -> str | None:
    """Install one: Debian's where we are root, else Playwright's."""
    ways = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        install = "apt-get -q update && apt-get -qy install --no-install-recommends"
        ways = [["sh", "-c", f"{install} {package}"] for package in DEBIANS] + ways
    for way in ways:
        sys.stderr.write(f"Installing Chromium: {' '.join(way)}\n")
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        try:
            subprocess.run(  # noqa: S603 -- the ways above
                way, env=environ, check=True, stdout=sys.stderr, stdin=subprocess.DEVNULL, timeout=INSTALL_WITHIN_S
            )
        except (OSError, subprocess.SubprocessError) as error:
            sys.stderr.write(f"{error}\n")
        else:
            path = find()
            if path is not None:
                return path
    return None


if __name__ == "__main__":
    sys.exit(main())
