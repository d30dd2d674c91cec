# SPDX-License-Identifier: Apache-2.0
"""Where suites and the programs to build them come from: Debian's packages, kept in a cache."""

import fcntl
import os
import pathlib
import subprocess

CACHE = pathlib.Path(
    os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
) / "swrunc-conformance"

SOURCES = """\
Types: deb-src
URIs: http://deb.debian.org/debian
Suites: {suite}
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


class Unavailable(Exception):
    """What a suite needs is not to be had; the message says what."""


def checked(*command, **options):
    """Runs a command to its end; its output is shown only if it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    if done.returncode:
        raise Unavailable(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}")
    return done.stdout


def install(*packages):
    """Installs Debian packages where they are missing."""
    listed = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *packages],
        capture_output=True,
        text=True,
    ).stdout
    present = {line.split()[1] for line in listed.splitlines() if line.startswith("installed ")}
    missing = [package for package in packages if package not in present]
    if not missing:
        return
    print(f"installing {' '.join(missing)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    get = ["apt-get", "-qq", "install", "--no-install-recommends", *missing]
    try:
        checked(*get, env=environment)
    except Unavailable:
        checked("apt-get", "-qq", "update", env=environment)
        checked(*get, env=environment)


def debian_source(package, suite):
    """Unpacks Debian's source of a package, as upstream wrote it; gives its folder and version.

    apt is told of a source list of ours, and to keep all it learns from it in the cache: the
    machine's own lists stay as they were.
    """
    home = CACHE / "sources" / suite / package
    done = home / "version"
    if not done.exists():
        install("dpkg-dev", "xz-utils")
        home.mkdir(parents=True, exist_ok=True)
        apt = CACHE / "apt" / suite
        (apt / "lists/partial").mkdir(parents=True, exist_ok=True)
        (apt / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
        (apt / "ours.sources").write_text(SOURCES.format(suite=suite))
        options = [
            f"-oDir::Etc::sourcelist={apt}/ours.sources",
            "-oDir::Etc::sourceparts=-",
            f"-oDir::State::lists={apt}/lists",
            f"-oDir::Cache={apt}/cache",
            "-oAPT::Sandbox::User=root",
        ]
        checked("apt-get", "-qq", *options, "update")
        for old in home.iterdir():
            checked("rm", "-rf", old)
        # The archive that upstream released: a signed list names its digest.
        fetch = ["source", "--tar-only", "--download-only", package]
        checked("apt-get", "-qq", *options, *fetch, cwd=home)
        archive = next(home.glob("*.orig.tar.*"))
        tree = home / "tree"
        tree.mkdir()
        checked("tar", "-xf", archive, "-C", tree, "--strip-components=1")
        version = archive.name.split(".orig.tar.")[0].split("_", 1)[1]
        done.write_text(version)
    return home / "tree", done.read_text()


class Workspace:
    """A folder of the GOPATH form, where imports find Debian's -dev packages and what is linked in."""

    def __init__(self, name):
        self.path = CACHE / "go" / name

    def link(self, import_path, folder):
        """Makes a folder importable."""
        place = self.path / "src" / import_path
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_symlink():
            place.unlink()
        place.symlink_to(folder)
        return place

    def build(self, folder, *arguments, **environment):
        """Runs go build in a folder below this one."""
        checked(
            "go",
            "build",
            *arguments,
            cwd=folder,
            env={
                **os.environ,
                "PWD": str(folder),
                "GO111MODULE": "off",
                "GOFLAGS": "",
                "GOPATH": f"{self.path}:/usr/share/gocode",
                "GOCACHE": str(CACHE / "go-cache"),
                **environment,
            },
        )


def alone():
    """Holds a lock as long as this program runs: suites use fixed container ids."""
    CACHE.mkdir(parents=True, exist_ok=True)
    lock = open(CACHE / "lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock
