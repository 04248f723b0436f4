"""Make ``.venv`` from ``requirements.lock``: ``python3 scripts/install.py``. Uses the standard library only.

uv in the venv installs in seconds, pip needs a minute. uv does not read pip's settings, so the script passes them on:
packages come from the same index as with pip.
"""

from __future__ import annotations

import os
import shlex
import ssl
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / ".installed"

# pip's setting: uv's variable, and the separator of several values. Without a separator the last value counts.
TRANSLATED = {
    "index-url": ("UV_DEFAULT_INDEX", ""),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", ""),
    "proxy": ("ALL_PROXY", ""),
}
# If one of these is already set, the environment decides.
KNOWN_AS = {
    "UV_DEFAULT_INDEX": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "UV_INDEX": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "ALL_PROXY": ("ALL_PROXY", "HTTPS_PROXY", "https_proxy", "all_proxy"),
}
LAUNCHER = """\
#!/bin/sh
# The lxc-dashboard command of this source tree.
exec "$(dirname "$0")/python" -m lxc_dashboard.cli "$@"
"""


def main() -> None:
    """Make or renew the venv. Prints each step, and what to install if something is missing."""
    make_venv()
    python = VENV / "bin" / "python"
    if not (VENV / "bin" / "uv").exists():
        say("Putting uv into .venv")
        call([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"], os.environ.copy())
    say("Installing the packages of requirements.lock into .venv")
    command = [str(VENV / "bin" / "uv"), "pip", "sync", "--quiet", "--python", str(python), "--require-hashes"]
    call([*command, str(ROOT / "requirements.lock")], uv_environ(python))
    link_source_tree(python)
    STAMP.touch()


def make_venv() -> None:
    """Keep a complete venv of this Python, otherwise make a new one."""
    if not (3, 11) <= sys.version_info < (3, 15):
        sys.exit(f"Python 3.11 to 3.14 is needed, this is {sys.version.split()[0]}: make PYTHON=python3.13 ...")
    version = VENV / ".python"
    wanted = f"{sys.version} {sys.base_prefix}"
    if version.exists() and version.read_text(encoding="utf-8") == wanted and (VENV / "bin" / "python").exists():
        return
    say(f"Making .venv with Python {sys.version.split()[0]}")
    try:
        venv.EnvBuilder(clear=True, with_pip=True, symlinks=True).create(VENV)
    except (subprocess.CalledProcessError, ImportError):
        name = f"python3.{sys.version_info.minor}-venv"
        sys.exit(f"This Python cannot make a venv with pip. On Debian and Ubuntu: apt-get install {name}")
    version.write_text(wanted, encoding="utf-8")


def uv_environ(python: Path) -> dict[str, str]:
    """The environment for uv, with pip's settings as uv's variables."""
    environ = os.environ.copy()
    for setting, values in pip_settings(python).items():
        name, joint = TRANSLATED[setting]
        if not any(environ.get(known) for known in KNOWN_AS.get(name, (name,))):
            environ[name] = joint.join(values) if joint else values[-1]
    if environ.get("UV_INDEX"):
        environ.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")  # as pip; the hashes protect
    store = ssl.get_default_verify_paths()
    if store.cafile or (store.capath and any(Path(store.capath).iterdir())):
        environ.setdefault("UV_SYSTEM_CERTS", "1")  # as pip: the store may hold a company's CA
    environ.setdefault("UV_HTTP_TIMEOUT", "180")
    if not os.access(environ.get("HOME") or "/nonexistent", os.W_OK):
        environ.setdefault("UV_CACHE_DIR", str(VENV / ".cache"))
    environ.setdefault("UV_LINK_MODE", "copy")  # the cache may be on another file system
    return environ


def pip_settings(python: Path) -> dict[str, list[str]]:
    """The settings of pip for an installation, from its files and variables. Later sections override earlier ones."""
    listing = subprocess.run(  # noqa: S603 - the venv's own pip
        [python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    settings: dict[str, list[str]] = {}
    for level in ("global", "install", ":env:"):
        for line in listing.stdout.splitlines():
            name, equals, value = line.partition("=")
            section, _, setting = name.rpartition(".")
            if equals and section == level and setting in TRANSLATED:
                settings[setting] = shlex.split(value)[0].split()
    return settings


def link_source_tree(python: Path) -> None:
    """Make the source tree importable and add its command, without a build."""
    command = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - as above
    Path(site, "lxc_dashboard_source.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    launcher = VENV / "bin" / "lxc-dashboard"
    launcher.write_text(LAUNCHER, encoding="utf-8")
    launcher.chmod(0o755)


def call(command: list[str], environ: dict[str, str]) -> None:
    if subprocess.run(command, env=environ, check=False).returncode != 0:  # noqa: S603 - our commands
        sys.exit("The installation failed, see the messages above. Fix the cause and run the same command again")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
