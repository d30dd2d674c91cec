# SPDX-License-Identifier: Apache-2.0
"""The lines of the articles on engines that a user copies: the programs here start from them.

A block is a fenced text after a comment that names it:

    <!-- docker/daemon.json -->
    ```json
    { "runtimes": ... }
    ```

A comment `<!-- untried: NAME -->` names one that no program here can start from; the article says so beside it.
conformance/pages checks that every other one is used.
"""

import os
import pathlib
import re
import sys

CATALOG = pathlib.Path(__file__).resolve().parent.parent.parent / "Sources/ContainerKit/ContainerKit.docc"
ARTICLES = ("Engines", "Docker", "Podman", "Containerd", "CRIO", "Kubernetes", "SystemdUnits", "Hosts")
# The path of the binary in all articles.
BINARY = "/usr/local/bin/swrunc"
FENCE = re.compile(
    r"^(?:<!-- (?P<untried>untried: )?(?P<name>[\w.-]+/[\w./-]+) -->\n+)?```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.M | re.S,
)


def fences():
    """Every fenced text of the articles, as a match with the article's name."""
    for article in ARTICLES:
        for match in FENCE.finditer((CATALOG / f"{article}.md").read_text()):
            yield article, match


def block(name, *changes):
    """The text of a block. A change is a pair: a text in it, and what stands here in its place (a path, a unit)."""
    found = [match["text"] for _, match in fences() if match["name"] == name and not match["untried"]]
    if len(found) != 1:
        wrong(f"the articles have {len(found)} blocks {name}")
    text = found[0]
    for old, new in changes:
        if old not in text:
            wrong(f"the block {name} does not contain {old!r}")
        text = text.replace(old, str(new))
    return text


def extended(text, header, lines):
    """A text in which lines of the tests (data directories, sockets) follow one that it has."""
    if f"{header}\n" not in text:
        wrong(f"no line {header!r} in\n{text}")
    return text.replace(f"{header}\n", f"{header}\n{lines.strip()}\n", 1)


def linked(runtime, folder):
    """PATH with a folder in front, in which the runtime has the name that the articles give it."""
    os.makedirs(folder, exist_ok=True)
    link = pathlib.Path(folder, "swrunc")
    if not link.is_symlink():
        link.symlink_to(runtime)
    return f"{folder}:{os.environ['PATH']}"


def wrong(text):
    """Ends the program with a status that is not that of a failed case."""
    print(f"articles: {text}", file=sys.stderr, flush=True)
    sys.exit(2)
