# SPDX-License-Identifier: Apache-2.0
"""SELinux's type of the runtime's file: how it is set, and the domain that processes get by it."""

import contextlib
import os
import pathlib

from harness import Failed, NotRun, call, case, expect, expect_in
from labels_host import INSTALLED, bundle, current, installed
from page import block

# Where Debian has it; the article names the place of most distributions.
RUNC = pathlib.Path("/usr/sbin/runc")


def kind(path):
    """The type of a file."""
    return os.getxattr(path, "security.selinux").decode().rstrip("\0").split(":")[2]


def domain():
    """The type of a container's process that a service runs; the config gives it no label."""
    folder = bundle(["cat", "/proc/self/attr/current"])
    words = (INSTALLED, "--root", current["scratch"] / "states", "run", "--bundle", folder, "engines-labels")
    said = call("systemd-run", "--quiet", "--wait", "--pipe", *words)
    if len(label := said.rstrip("\0\n").split(":")) < 4:
        raise Failed(f"this is no label: {said!r}")
    return label[2]


@case("with SELinux, the runtime takes the type of runc", group="selinux")
def reference():
    before = kind(INSTALLED)
    call("restorecon", "-F", RUNC)
    call("sh", "-ec", block("hosts/chcon.sh", ("/usr/bin/runc", RUNC)))
    expect(kind(INSTALLED), call("matchpathcon", "-n", RUNC).split(":")[2], "the file's type")
    expect(kind(INSTALLED) != before, True, f"another type than {before}")


@case("with SELinux, a service's container runs in the domain of the type", group="selinux")
def transition():
    call("restorecon", "-F", RUNC, INSTALLED)
    wanted = call("matchpathcon", "-n", RUNC).split(":")[2].replace("_exec_t", "_t")
    expect(domain() != wanted, True, "without the type, another domain")
    call("chcon", f"--reference={RUNC}", INSTALLED)
    expect(domain(), wanted, "the domain")


@case("with SELinux, the type of Fedora's policy is refused where the policy lacks it", group="selinux")
def missing():
    if "container_runtime_exec_t" in pathlib.Path("/etc/selinux/default/contexts/files/file_contexts").read_text():
        raise NotRun("the policy has it")
    # The kernel keeps a label that it does not know for an administrator who may (CAP_MAC_ADMIN).
    said = call("setpriv", "--bounding-set=-mac_admin", "chcon", "-t", "container_runtime_exec_t", INSTALLED, status=1)
    expect_in("nvalid argument", said)


@contextlib.contextmanager
def opened(given):
    if not os.path.exists("/sys/fs/selinux/enforce"):
        raise NotRun("SELinux is not in force")
    if not RUNC.exists():
        raise NotRun("no runc")
    with installed(given) as after:
        yield after
