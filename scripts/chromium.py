"""Find or install a Chromium for the browser tests, and print its path.

Exits with 1 if there is none, and says why on stderr. The browser tests are then skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

# The headless shell first: it has no window, and a tab costs a third of one in the others.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
DEBIANS = ("chromium-headless-shell", "chromium")
INSTALL_WITHIN_S = 600


def main() -> int:
    """Print the path, or why there is none. Returns the exit status."""
    path = find() or install()
    if path is None:
        sys.stderr.write("Browser tests are skipped: no Chromium was found, and none could be installed\n")
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


def find() -> str | None:
    """The path in ``CHROMIUM``, of a Chromium on the PATH, or of Playwright's own."""
    named = os.environ.get("CHROMIUM")
    if named and os.access(named, os.X_OK):
        return named
    for name in NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    return find_of_playwright()


def find_of_playwright() -> str | None:
    """The browser that ``playwright install chromium`` installed."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def install() -> str | None:
    """Install Debian's package as root, else Playwright's browser, and return its path."""
    commands = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        apt = "apt-get -q update && apt-get -qy install --no-install-recommends"
        commands = [["sh", "-c", f"{apt} {package}"] for package in DEBIANS] + commands
    for command in commands:
        sys.stderr.write(f"Installing Chromium: {' '.join(command)}\n")
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        try:
            subprocess.run(  # noqa: S603 - the commands above
                command, env=environ, check=True, stdout=sys.stderr, stdin=subprocess.DEVNULL, timeout=INSTALL_WITHIN_S
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
