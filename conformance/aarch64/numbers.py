#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The numbers of the kernel's vocabulary in the headers of both architectures.

Tests/InitProgramTests compares the sources with this machine's headers. Here the names of the sources are looked up in the
headers of x86_64 and of aarch64: they must be equal, but for those that the sources give for aarch64 under a condition.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
VOCABULARY = REPOSITORY / "Sources/KernelVocabulary"
TEST = REPOSITORY / "Tests/InitProgramTests/VocabularyTests.swift"
MACHINES = {"x86_64": ["cc"], "aarch64": ["aarch64-linux-gnu-gcc"]}


def names():
    found = set()
    for file in VOCABULARY.glob("*.swift"):
        found |= set(re.findall(r'"([A-Z][A-Z0-9]*_[A-Z0-9_]+)"', file.read_text()))
    return sorted(found)


def headers():
    """Those that the unit test includes, in its order."""
    listed = TEST.read_text().split("private static let headers = [")[1].split("]")[0]
    return re.findall(r'"([\w/]+\.h)"', listed)


def values(compiler, words, scratch):
    """The values of the names that these headers have, read from the object file: nothing is run."""
    start = "#define _GNU_SOURCE\n" + "".join(f"#include <{name}>\n" for name in headers())
    source, target = scratch / "names.c", scratch / "names.s"
    while True:
        lines = [f'__asm__("@{word} %0" :: "i"((long long)({word})));' for word in words]
        source.write_text(start + "void names(void) {\n" + "\n".join(lines) + "\n}\n")
        done = subprocess.run([*compiler, "-w", "-S", "-o", target, source], capture_output=True, text=True)
        unknown = set(re.findall(r"[‘'](\w+)[’'] undeclared", done.stderr))
        if done.returncode == 0:
            break
        if not unknown:
            sys.exit(f"numbers: {compiler[0]}: {done.stderr}")
        words = [word for word in words if word not in unknown]
    return {word: int(value) for word, value in re.findall(r"@(\w+) [$#]?(-?\d+)", target.read_text())}


def conditional():
    """The numbers that the sources give for aarch64 alone, by the spelling of their names."""
    found = {}
    for file in VOCABULARY.glob("*.swift"):
        text = file.read_text()
        for member, number in re.findall(r"#if arch\(arm64\)\n.*static var (\w+): Self \{ Self\(rawValue: 0o([\d_]+)\)", text):
            name = re.search(rf'\(\.{member}, "(\w+)"\)', text)[1]
            found[name] = int(number.replace("_", ""), 8)
    return found


def main():
    with tempfile.TemporaryDirectory() as folder:
        scratch, words = pathlib.Path(folder), names()
        here, there = (values(compiler, words, scratch) for compiler in MACHINES.values())
    wrong = [f"{name}: only in the headers of one architecture" for name in here.keys() ^ there.keys()]
    differing = {name: there[name] for name in here.keys() & there.keys() if here[name] != there[name]}
    if differing != conditional():
        wrong.append(f"other on aarch64: {differing}; in the sources: {conditional()}")
    if wrong or len(there) < 200:
        sys.exit("numbers: " + "; ".join(wrong or [f"only {len(there)} names were found"]))
    print(f"numbers: {len(there)} names, equal on both architectures but for {', '.join(sorted(differing))}")


main()
