# SPDX-License-Identifier: Apache-2.0
"""What the binary is made of: from the linker's map, which names every file that something was taken from."""

import hashlib
import json
import pathlib
import re
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
# Written by make build.
MAP = REPOSITORY / ".build/swrunc.map"
SWIFT = "Apache-2.0 WITH Swift-exception"
GCC = "GPL-3.0-or-later WITH GCC-exception-3.1"
OWN = "Apache-2.0"

# How a file of the map is known: a pattern for its path, then name, licence, and who tells the version.
KNOWN = [
    (r"/swift_static/.*/(libswift\w*\.a|swiftrt\.o)$", "swift-runtime", SWIFT, "swift"),
    (r"/swift_static/.*/libdispatch\.a$", "swift-corelibs-libdispatch", SWIFT, "swift"),
    (r"/swift_static/.*/libBlocksRuntime\.a$", "BlocksRuntime", "MIT OR NCSA", "swift"),
    (r"/(libc|libm|libm-[\d.]+|libmvec|libpthread|libdl|librt|libutil)\.a$", "glibc", "LGPL-2.1-or-later", "package"),
    (r"/(crt1|crti|crtn|Scrt1|rcrt1)\.o$", "glibc", "LGPL-2.1-or-later", "package"),
    (r"/libstdc\+\+\.a$", "libstdc++", GCC, "package"),
    (r"/(libgcc|libgcc_eh)\.a$", "libgcc", GCC, "package"),
    (r"/crt(begin|end)\w*\.o$", "libgcc", GCC, "package"),
    (r"/libseccomp\.a$", "libseccomp", "LGPL-2.1-only", "package"),
    (r"/libcap\.a$", "libcap", "BSD-3-Clause OR GPL-2.0-only", "package"),
    (r"/(Logging)\.build/", "swift-log", OWN, "pin"),
    (r"/(SystemPackage|CSystem)\.build/", "swift-system", SWIFT, "pin"),
]
# A line of the map that is an input: addresses, size, alignment, then FILE:(SECTION) or ARCHIVE(MEMBER):(SECTION).
INPUT = re.compile(r"\s*[0-9a-f]+\s+[0-9a-f]+\s+([0-9a-f]+)\s+\d+ {9}(\S.*):\([^()]*\)$")


class Unknown(Exception):
    """Something of the build cannot be told; the text has a remedy."""


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def version():
    """The version, from its one place."""
    text = (REPOSITORY / "Sources/ContainerKit/Model/RuntimeVersion.swift").read_text()
    return re.search(r'static let string = "([^"]+)"', text)[1]


def linked(map_file):
    """The files of the map, with the bytes that are of each; objects of an archive count together."""
    if not pathlib.Path(map_file).exists():
        raise Unknown(f"{map_file} is missing: make build writes it")
    sizes = {}
    with open(map_file, errors="replace") as lines:
        for line in lines:
            found = INPUT.match(line)
            if not found or found[2].startswith("<internal>"):
                continue
            path = re.sub(r"\.a\(.*", ".a", found[2])
            sizes[path] = sizes.get(path, 0) + int(found[1], 16)
    if not sizes:
        raise Unknown(f"{map_file} names no file: make build writes it")
    return sizes


def pins():
    resolved = json.loads((REPOSITORY / "Package.resolved").read_text())
    return {pin["identity"]: pin for pin in resolved["pins"]}


def owner(path):
    """The Debian package of a file: its name, version and architecture, and the source's."""
    # Some paths of the linker lead through a link, such as /lib for /usr/lib.
    for candidate in {path, str(pathlib.Path(path).resolve()), re.sub(r"^/lib/", "/usr/lib/", path)}:
        said = subprocess.run(["dpkg-query", "-S", candidate], capture_output=True, text=True)
        if said.returncode == 0:
            package = said.stdout.split(": ")[0]
            fields = run("dpkg-query", "-W", "-f", "${Package}\t${Version}\t${Architecture}\t${source:Package}", package)
            return dict(zip(("package", "version", "architecture", "source"), fields.split("\t")))
    raise Unknown(f"{path} is of no package: build on Debian or Ubuntu, with their libraries")


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def swift_version():
    return re.search(r"Swift version (\S+)", run("swift", "--version"))[1]


def components(map_file):
    """What is linked and not ours, by name: licence, version, files with their checksums, bytes."""
    own = {path.name for path in (REPOSITORY / "Sources").iterdir()}
    found, unknown = {}, []
    for path, size in sorted(linked(map_file).items()):
        module = re.search(r"/([^/]+)\.build/", path)
        if module and module[1] in own:
            continue
        for pattern, name, licence, source in KNOWN:
            if re.search(pattern, path):
                break
        else:
            unknown.append(path)
            continue
        part = found.setdefault(name, {"name": name, "licence": licence, "source": source, "bytes": 0, "files": {}})
        part["bytes"] += size
        if source == "pin":
            pin = pins()[name]
            part |= {"version": pin["state"]["version"], "revision": pin["state"]["revision"], "url": pin["location"]}
        elif source == "swift":
            part |= {"version": swift_version()}
            part["files"][pathlib.Path(path).name] = sha256(path)
        else:
            package = owner(path)
            part |= {"version": package["version"], "package": package}
            part["files"][pathlib.Path(path).name] = sha256(path)
    if unknown:
        names = ", ".join(unknown)
        raise Unknown(f"{names}: linked, but of no known component; add it to KNOWN in {pathlib.Path(__file__).name}")
    return [found[name] for name in sorted(found)]


def licence_text(part):
    """The file with a component's licence on this machine."""
    if part["source"] == "pin":
        checkout = REPOSITORY / ".build/checkouts" / part["name"]
        paths = [checkout / "LICENSE.txt", checkout / "LICENSE"]
    elif part["source"] == "swift":
        toolchain = pathlib.Path(json.loads(run("swift", "-print-target-info"))["paths"]["runtimeResourcePath"])
        paths = [toolchain.parents[1] / "share/swift/LICENSE.txt"]
    else:
        paths = [pathlib.Path("/usr/share/doc") / part["package"]["package"] / "copyright"]
    for path in paths:
        if path.exists():
            return path
    raise Unknown(f"{paths[0]}: the licence of {part['name']} is not here")


if __name__ == "__main__":
    for one in components(MAP):
        print(f"{one['name']:28} {one['version']:20} {one['licence']:45} {one['bytes']:9} bytes")
