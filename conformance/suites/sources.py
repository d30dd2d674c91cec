# SPDX-License-Identifier: Apache-2.0
"""The sources of suites and of the programs to build them: Debian's packages, kept in a cache."""

import fcntl
import os
import pathlib
import subprocess

CACHE = pathlib.Path(
    os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
) / "swrunc-conformance"

# The release of Debian that has the newest of everything.
NEWEST = "sid"

SOURCES = """\
Types: deb deb-src
URIs: http://deb.debian.org/debian
Suites: {suite}
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


class Unavailable(Exception):
    """Something that a suite needs is not available; the message says what."""


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
    """Installs missing Debian packages."""
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
    # The test VM may be being built at the same time.
    wait = "-oDPkg::Lock::Timeout=300"
    get = ["apt-get", "-qq", wait, "install", "--no-install-recommends", *missing]
    try:
        checked(*get, env=environment)
    except Unavailable:
        checked("apt-get", "-qq", "update", env=environment)
        checked(*get, env=environment)


def apt(suite):
    """Options that make apt use one release of Debian, from lists that are fetched once.

    apt uses a separate source list and keeps its data in the cache: the machine's own lists do not
    change.
    """
    home = CACHE / "apt" / suite
    options = [
        f"-oDir::Etc::sourcelist={home}/ours.sources",
        "-oDir::Etc::sourceparts=-",
        f"-oDir::State::lists={home}/lists",
        f"-oDir::Cache={home}/cache",
        "-oAPT::Sandbox::User=root",
    ]
    wanted = SOURCES.format(suite=suite)
    if not (home / "ours.sources").exists() or (home / "ours.sources").read_text() != wanted:
        (home / "lists/partial").mkdir(parents=True, exist_ok=True)
        (home / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
        (home / "new.sources").write_text(wanted)
        update = [f"-oDir::Etc::sourcelist={home}/new.sources", *options[1:], "update"]
        checked("apt-get", "-qq", *update)
        (home / "new.sources").rename(home / "ours.sources")
    return options


def debian_source(package, suite):
    """Unpacks Debian's source of a package without Debian's patches; returns its folder and version."""
    home = CACHE / "sources" / suite / package
    done = home / "version"
    if not done.exists():
        install("dpkg-dev", "xz-utils")
        home.mkdir(parents=True, exist_ok=True)
        options = apt(suite)
        for old in home.iterdir():
            checked("rm", "-rf", old)
        # The archive that upstream released: a signed list contains its digest.
        fetch = ["source", "--tar-only", "--download-only", package]
        checked("apt-get", "-qq", *options, *fetch, cwd=home)
        archive = next(home.glob("*.orig.tar.*"))
        tree = home / "tree"
        tree.mkdir()
        checked("tar", "-xf", archive, "-C", tree, "--strip-components=1")
        version = archive.name.split(".orig.tar.")[0].split("_", 1)[1]
        done.write_text(version)
    return home / "tree", done.read_text()


def unpacked(suite, home, packages, prefixes):
    """Unpacks packages of another Debian release, and those of their dependencies whose names begin with a prefix.

    They are not installed: these work without the maintainers' scripts. Returns the folder.
    """
    done = home / "unpacked"
    wanted = " ".join(sorted(packages))
    if not done.exists() or done.read_text() != wanted:
        options = apt(suite)
        checked("rm", "-rf", home)
        home.mkdir(parents=True)
        kinds = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
        narrowed = [f"--no-{kind}" for kind in kinds]
        listed = checked("apt-cache", *options, "depends", "--recurse", *narrowed, *packages)
        names = {line for line in listed.splitlines() if line.startswith(prefixes)}
        checked("apt-get", "-qq", *options, "download", *sorted(names), cwd=home)
        for archive in home.glob("*.deb"):
            checked("dpkg-deb", "-x", archive, home)
            archive.unlink()
        done.write_text(wanted)
    return home


def go_packages(suite, *packages):
    """Go and libraries from another Debian release."""
    return unpacked(suite, CACHE / "packages" / suite, packages, ("golang-",))


def foreign(command, suite, *packages):
    """The folder of a command of another Debian release: it runs with the C library and the others of that release."""
    home = CACHE / "packages" / (command if suite == NEWEST else f"{command}-{suite}")
    root = unpacked(suite, home, packages, (command, "lib", "gcc-"))
    folder = root / "bin-here"
    script = folder / command
    if not script.exists():
        (loader,) = root.glob("usr/lib*/ld-linux-*.so.*")
        (libraries,) = {file.parent for file in root.glob("usr/lib/*/libc.so.6")}
        (program,) = root.glob(f"usr/*bin/{command}")
        folder.mkdir(exist_ok=True)
        new = folder / "new"
        new.write_text(f'#!/bin/sh\nexec {loader} --library-path {libraries} {program} "$@"\n')
        new.chmod(0o755)
        new.rename(script)
    checked(script, "--version")
    return folder


def criu():
    """The folder of a command `criu` that is Debian's newest: older ones cannot dump on newer kernels."""
    return foreign("criu", NEWEST, "criu")


def version_of(go):
    """The version in a path such as usr/lib/go-1.24/bin/go, for comparison."""
    return [int(number) for number in go.parent.parent.name.split("-")[1].split(".")]


class Workspace:
    """A folder in GOPATH form, in which imports find Debian's -dev packages and linked folders."""

    def __init__(self, name, packages=pathlib.Path("/")):
        """`packages` is the folder of go_packages with Go and libraries; without it, the system's are used."""
        self.path = CACHE / "go" / name
        self.packages = packages
        newest = max((packages / "usr/lib").glob("go-*/bin/go"), default="go", key=version_of)
        self.go = "go" if packages == pathlib.Path("/") else newest

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
            self.go,
            "build",
            *arguments,
            cwd=folder,
            env={
                **os.environ,
                "PWD": str(folder),
                "GO111MODULE": "off",
                "GOFLAGS": "",
                "GOPATH": f"{self.path}:{self.packages / 'usr/share/gocode'}",
                "GOTOOLCHAIN": "local",
                "GOCACHE": str(CACHE / "go-cache"),
                **environment,
            },
        )


def alone():
    """Holds a lock while this program runs, since suites use fixed container IDs."""
    CACHE.mkdir(parents=True, exist_ok=True)
    lock = open(CACHE / "lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock
