# SPDX-License-Identifier: Apache-2.0
"""runc's integration suite, written for bats, from Debian's source package of runc.

The images that it would download are made locally: busybox, and a small tree of this machine's files.
"""

import os
import pathlib
import re
import shutil
import subprocess

import scratch
import sources
import tap
from results import Result

SUITE = sources.NEWEST
PACKAGES = "bats jq gawk gcc libc6-dev libseccomp-dev pkg-config busybox-static iproute2 procps uidmap"
# The source is newer than this machine's Go and its libraries.
GO_PACKAGES = """
    golang-go
    golang-dbus-dev golang-github-checkpoint-restore-go-criu-dev golang-github-cilium-ebpf-dev
    golang-github-containerd-console-dev golang-github-coreos-go-systemd-dev
    golang-github-cyphar-filepath-securejoin-dev golang-github-docker-go-units-dev
    golang-github-moby-sys-dev golang-github-mrunalp-fileutils-dev
    golang-github-opencontainers-cgroups-dev golang-github-opencontainers-selinux-dev
    golang-github-opencontainers-specs-dev golang-github-seccomp-libseccomp-golang-dev
    golang-github-sirupsen-logrus-dev golang-github-urfave-cli-dev
    golang-github-vishvananda-netlink-dev golang-golang-x-net-dev golang-golang-x-sys-dev
    golang-google-protobuf-dev
""".split()
PROGRAMS = ("fs-idmap", "pidfd-kill", "recvtty", "remap-rootfs", "sd-helper", "seccompagent")
SUPERVISED = pathlib.Path(__file__).with_name("supervised.py")
# For one file; and the time without a new result, after which a hanging test is ended.
LIMIT_SECONDS, QUIET_LIMIT_SECONDS = 400, 40
CGROUP_NAMES = r"runc-cgroups-integration-test|test_?\w+|test-cgroup-\d+|ct\d+|[a-z]+-busybox"


def workspace():
    """The suite's source in a place where it can be built: its folder, the version, and the builder."""
    tree, version = sources.debian_source("runc", SUITE)
    sources.install(*PACKAGES.split())
    place = sources.Workspace("runc", sources.go_packages(SUITE, *GO_PACKAGES))
    return place.link("github.com/opencontainers/runc", tree), f"runc {version}", place


def built_runtime():
    """runc itself, from the same source as the suite, so that it has all features that the suite expects."""
    tree, source, place = workspace()
    # Debian has the next major version of this library, and builds with it too.
    criu = tree / "libcontainer/criu_linux.go"
    criu.write_text(criu.read_text().replace("/go-criu/v6", "/go-criu/v7"))
    binary = place.path / "bin/runc"
    # If built from a commit, it prints the commit.
    named = ["-ldflags", f"-X 'main.gitCommit=source of {source}'"]
    place.build(tree, "-tags", "seccomp", *named, "-o", binary, ".")
    return binary


def built():
    """Builds the suite's programs and images; returns its folder, the version, and Go's folder."""
    tree, version, place = workspace()
    for name in PROGRAMS:
        place.build(tree / "tests/cmd" / name, "-tags", "seccomp", "-o", f"../_bin/{name}", ".")
    data = tree / "tests/integration/testdata"
    architecture = sources.checked(place.go, "env", "GOARCH").strip()
    # tar detects that they are not compressed.
    for name, fill in (("busybox", fill_busybox), ("debian", fill_debian)):
        image = data / f"{name}-{architecture}.tar.xz"
        if not image.exists():
            make_image(image, fill)
    return tree.resolve(), version, place.go.parent


def make_image(image, fill):
    root = image.with_suffix(".root")
    shutil.rmtree(root, ignore_errors=True)
    # Without proc and sys, like busybox's image: tests make links at these paths.
    for folder in ("bin", "dev", "etc", "home", "lib", "root", "tmp", "usr/sbin", "var"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "root").chmod(0o700)
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\n"
        "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
        "www-data:x:33:33:www-data:/var/www:/bin/false\n"
        "nobody:x:65534:65534:nobody:/home:/bin/false\n"
    )
    (root / "etc/group").write_text("root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nnogroup:x:65534:\n")
    fill(root)
    temporary = image.with_suffix(".new")
    sources.checked("tar", "-cf", temporary, "-C", root, ".")
    temporary.rename(image)
    shutil.rmtree(root)


def fill_busybox(root):
    binary = root / "bin/busybox"
    shutil.copy(shutil.which("busybox"), binary)
    # Hard links, as in the image for which the suite is written.
    for applet in sources.checked(binary, "--list").split():
        if not (root / "bin" / applet).exists():
            os.link(binary, root / "bin" / applet)


def fill_debian(root):
    """The programs that tests run in the image, with their libraries."""
    (root / "lib64").mkdir()
    (root / "usr/bin").mkdir()
    (root / "bin").rmdir()
    for folder in ("bin", "sbin"):
        (root / folder).symlink_to(f"usr/{folder}")
    packages = ("bash", "coreutils", "grep", "libc-bin", "mount", "sed", "util-linux")
    listed = sources.checked("dpkg", "-L", *packages).split()
    programs = [pathlib.Path(path) for path in listed if re.match(r"(/usr)?/s?bin/[^/]+$", path)]
    for program in filter(pathlib.Path.is_file, programs):
        shutil.copy(program, root / "usr" / program.parent.name / program.name)
    shutil.copy("/bin/bash", root / "usr/bin/sh")
    listed = subprocess.run(["ldd", *programs], capture_output=True, text=True).stdout
    for word in set(listed.split()):
        if word.startswith("/") and not word.endswith(":"):
            (root / word[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(word, root / word[1:])
    (root / "etc/ld.so.conf").write_text("/lib\n/lib/x86_64-linux-gnu\n/lib/aarch64-linux-gnu\n")


def judge(file, text, names):
    """The results of a file's tests; tests without a result have failed."""
    found = {}
    for result in tap.results(text):
        status = "pass" if result["ok"] else "fail"
        if result["directive"] == "skip":
            status = "skip"
        detail = result["reason"] if status == "skip" else "\n".join(result["comments"])
        found[f"{file}: {result['description']}"] = Result(status, detail)
    for name in names:
        found.setdefault(f"{file}: {name}", Result("fail", "the file's tests were not done in time"))
    return found


def test_names(path):
    lines = path.read_text().splitlines()
    names = [line[len("@test ") :].rsplit("{", 1)[0].strip() for line in lines if line.startswith("@test ")]
    # Quoted for the shell, as in a double-quoted string.
    return [name[1:-1].replace("\\$", "$").replace('\\"', '"').strip() for name in names]


def run(runtime, only, logs):
    tree, version, go = built()
    found = {}
    with scratch.Scratch(CGROUP_NAMES) as folder:
        # The suite looks for the word runc in messages, which begin with the called program's name.
        (folder / "bin").mkdir()
        (folder / "bin/runc").symlink_to(runtime.path)
        for path in sorted((tree / "tests/integration").glob("*.bats")):
            names = test_names(path)
            chosen = [n for n in names if not only or only.search(f"{path.stem}: {n}")]
            if not chosen:
                continue
            found.update(run_file(path, chosen, folder, logs, go, whole=chosen == names))
    return version, found


def run_file(path, names, folder, logs, go, whole):
    """Runs the named tests of a file."""
    filters = []
    if not whole:
        escaped = (re.sub(r"([][.*+?^${}()|\\])", r"\\\1", name) for name in names)
        filters = ["--filter", f"^({'|'.join(escaped)}) *$"]
    log = logs / f"{path.stem}.tap"
    temporary = folder / "t"
    temporary.mkdir()
    with open(log, "w") as output:
        subprocess.run(
            [
                SUPERVISED,
                f"--limit={LIMIT_SECONDS}",
                f"--quiet-limit={QUIET_LIMIT_SECONDS}",
                "--terminal",
                "--",
                "bats",
                "--tap",
                *filters,
                path,
            ],
            cwd=path.parent.parent.parent,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("BATS")},
                # The suite asks Go for the machine's architecture.
                "PATH": f"{os.environ['PATH']}:{go}",
                "RUNC": str(folder / "bin/runc"),
                "TMPDIR": str(temporary),
                "TERM": "dumb",
                "LC_ALL": "C",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    scratch.remove(temporary)
    return judge(path.stem, log.read_text(errors="replace"), names)
