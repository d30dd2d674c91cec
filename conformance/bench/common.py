# SPDX-License-Identifier: Apache-2.0
"""Shared code of this folder's benchmarks: which runtimes are measured, and a busybox rootfs."""
import os
import pathlib
import shutil
import sys

# The variable that marks the second start of a program with --unified.
UNIFIED = "BENCH_UNIFIED"

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def need_root_and_busybox():
    """Ends the program with an error."""
    if os.geteuid() != 0 or not shutil.which("busybox"):
        sys.exit(f"{pathlib.Path(sys.argv[0]).name}: needs root and busybox-static")


def run_unified():
    """Runs this program again in a mount namespace with only cgroup v2; returns in the second run."""
    if os.environ.get(UNIFIED) == "yes":
        return
    script = 'umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$0" "$@"'
    os.environ[UNIFIED] = "yes"
    os.execvp("unshare", ["unshare", "--mount", "sh", "-c", script, *sys.argv])


def chosen_runtimes(given):
    """Names and paths of --runtime NAME=PATH; without one swrunc of .build/release, and crun and runc of PATH."""
    if given:
        pairs = [text.partition("=")[::2] for text in given]
    else:
        built = REPOSITORY / ".build/release/swrunc"
        pairs = [("swrunc", str(built) if built.exists() else None)]
        pairs += [(name, shutil.which(name)) for name in ("crun", "runc")]
        for name, path in pairs:
            if not path:
                print(f"{pathlib.Path(sys.argv[0]).name}: no {name}, left out", file=sys.stderr)
    return [(name, os.path.realpath(path)) for name, path in pairs if path]


def make_rootfs(root, *applets):
    """A root file system with busybox under these names in /bin."""
    root = pathlib.Path(root)
    for folder in ("bin", "dev", "proc", "sys", "etc"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    shutil.copy(shutil.which("busybox"), root / "bin/busybox")
    for applet in applets:
        (root / "bin" / applet).symlink_to("busybox")
