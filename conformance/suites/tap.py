# SPDX-License-Identifier: Apache-2.0
"""Reads TAP, the format in which both public suites write their results."""

import re

LINE = re.compile(r"^(not ok|ok)\b(?: +(\d+))?(?: +-)? ?(.*?)(?: *# *(skip|todo)\S*(?: (.*))?)?$", re.I)


def results(text):
    """Each result line: whether it is ok, its description, its directive with the reason."""
    found = []
    for line in text.splitlines():
        if match := LINE.match(line):
            found.append(
                {
                    "ok": match[1] == "ok",
                    "description": match[3].strip(),
                    "directive": (match[4] or "").lower(),
                    "reason": (match[5] or "").strip(" ()"),
                    "comments": [],
                }
            )
        elif line.startswith("#") and found:
            found[-1]["comments"].append(line[1:].strip())
    return found


def plans(text):
    """The planned numbers of results."""
    return [int(count) for count in re.findall(r"^1\.\.(\d+)", text, re.M)]
