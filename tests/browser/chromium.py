"""Find a Chromium to drive, and on request install one.

``python -m tests.browser.chromium`` installs one where there is none: a package of Debian's if that is allowed, else
playwright's own build. Not for: driving it (``conftest.py``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

#: The names that distributions give it. The first has the same engine without windows, tool bars and tabs, which the
#: others draw for each page though nobody sees them. Chrome itself serves as well.
PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Debian's packages.
PACKAGES = PROGRAMS[:2]
#: Set to the program to use, if it is not on the search path.
VARIABLE = "TFMAGIC_CHROMIUM"
#: Containers run as root, where Chromium's sandbox does not start; it is shown our own pages only. The others
#: stop it from calling home, which the tests would report as a request to another host.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def starts(program: str) -> bool:
    """Say whether the program is there and starts (Ubuntu's package is a stub that asks for snap)."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def bundled() -> str | None:
    """Return the Chromium that playwright has downloaded, if it has."""
    with sync_playwright() as playwright:
        program = playwright.chromium.executable_path
    return program if Path(program).is_file() else None


def find() -> str | None:
    """Return the Chromium to use: the one that is named, else the system's, else playwright's."""
    if named := os.environ.get(VARIABLE):
        return named
    on_path = (found for name in PROGRAMS if (found := shutil.which(name)))
    return next(filter(starts, on_path), None) or bundled()


def install_package() -> None:
    """Install the first of Debian's packages that there is, if this is Debian and we may."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "--quiet"], env=environment, check=False)  # noqa: S607 - whichever apt-get
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"]
    for package in PACKAGES:
        if subprocess.run([*install, package], env=environment, check=False).returncode == 0:
            return


def main() -> int:
    """Make sure that there is a Chromium, and say which."""
    if find() is None:
        print("No Chromium found; installing one for the browser tests", flush=True)
        install_package()
    if find() is None:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    if (program := find()) is None:
        print(f"no Chromium could be installed; install one and name it in {VARIABLE}", file=sys.stderr)
        return 1
    print(f"Chromium: {program}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
