# SPDX-License-Identifier: Apache-2.0
"""Results of a suite, and the table of expected results.

A result is "pass", "skip", "fail", or "fail 2,5 of 9": the second and fifth of nine assertions.
"either" is written into the table by hand, for a test whose result varies.
The table is a JSON file with one line for each test: for each kind of machine the result by runtime, and
under "why" the reason for each of our results that is not a pass.
"""

import dataclasses
import json
import os
import pathlib
import re

EXPECTED = pathlib.Path(__file__).resolve().parent.parent / "expected"
README = EXPECTED.parent / "README.md"
ENGINES = EXPECTED.parent.parent / "Sources/ContainerKit/ContainerKit.docc/Engines.md"
OURS = "swrunc"
UNEXPLAINED = "unexplained"
# Of results from before runs told it.
UNRECORDED = "not recorded"


@dataclasses.dataclass
class Result:
    """The result of one test; detail is its output about it."""

    status: str
    detail: str = ""

    @property
    def reason(self):
        """The reason, as far as the output shows it; of a skip without one, it is written into the table by hand."""
        if self.status == "skip" and self.detail:
            return self.detail if self.detail.startswith("machine: ") else f"suite: {self.detail}"
        missing = [
            match[1] or match[2]
            for match in re.finditer(
                r"([-\w.\[\]/ ]+(?: \([\w ]+\))?): not implemented yet"
                r"|(?:[\w.\[\]]+: )?([-\w ]+) is not implemented yet",
                self.detail,
            )
        ]
        if missing:
            return "not implemented: " + ", ".join(dict.fromkeys(map(str.strip, missing)))
        lines = [line.strip() for line in self.detail.splitlines() if line.strip()]
        told = [line for line in lines if "level=error" in line] or [
            line for line in lines if line.endswith("' failed")
        ]
        return f"{UNEXPLAINED}: {(told or lines or [''])[-1][:200]}"


def machine_kind():
    """The kind of machine, on which results depend: the cgroup version, and whether systemd runs."""
    unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    systemd = os.path.isdir("/run/systemd/system")
    return ("cgroup v2" if unified else "cgroup v1") + (", systemd" if systemd else "")


def failures(status):
    """The failed assertions and the number of all; for a test without numbers, the whole test."""
    match = re.fullmatch(r"fail ([\d,]+) of (\d+)", status)
    return (set(match[1].split(",")), int(match[2])) if match else (None, 0)


def compare(expected, found):
    """-1: the result is worse, 1: better, 0: the same."""
    if expected in (found, "either"):
        return 0
    rank = {"pass": 3, "skip": 2}
    before, after = rank.get(expected, 0), rank.get(found, 0)
    if before or after:
        return 1 if after > before else -1
    (was, of), (now, out_of) = failures(expected), failures(found)
    if was is None or now is None:
        return 1 if was is None else -1
    return 1 if now <= was and out_of >= of else -1


class Table:
    """The expected results of one suite."""

    def __init__(self, suite, kind):
        self.path = EXPECTED / f"{suite}.json"
        self.kind = kind
        self.all = {"suite": suite, "machines": {}}
        if self.path.exists():
            self.all = json.loads(self.path.read_text())
        self.machine = self.all["machines"].setdefault(kind, {"runtimes": {}, "tests": {}})

    @property
    def tests(self):
        return self.machine["tests"]

    def expected(self, runtime):
        return {name: test[runtime] for name, test in self.tests.items() if runtime in test}

    def renew(self, tested, source, results, whole):
        """Adds results; if they are of the `whole` suite, tests that no longer exist are removed."""
        runtime = tested.name
        self.all["source"] = source
        self.machine["runtimes"][runtime] = tested.version
        for engine, described in tested.engines.items():
            self.machine.setdefault("engines", {}).setdefault(engine, {})[runtime] = described
        for name, result in results.items():
            test = self.tests.setdefault(name, {})
            before = test.get(runtime)
            if before == "either":
                continue
            test[runtime] = result.status
            if runtime != OURS:
                continue
            reason = result.reason
            kept = test.pop("why", None)
            if result.status == "pass":
                continue
            same = before == result.status and kept and not kept.startswith(UNEXPLAINED)
            test["why"] = kept if same and reason.startswith(UNEXPLAINED) else reason
        if whole:
            for name in [name for name in self.tests if name not in results]:
                self.tests[name].pop(runtime, None)
                if not any(key != "why" for key in self.tests[name]):
                    del self.tests[name]
        self.write()

    def write(self):
        text = ["{", f'"suite": {json.dumps(self.all["suite"])},']
        text += [f'"source": {json.dumps(self.all["source"])},', '"machines": {']
        machines = []
        for kind, machine in sorted(self.all["machines"].items()):
            tests = ",\n".join(
                f"{json.dumps(name)}: {json.dumps(order(test), ensure_ascii=False)}"
                for name, test in sorted(machine["tests"].items())
            )
            engines = ",\n".join(
                f"{json.dumps(name)}: {json.dumps(order(engine), ensure_ascii=False)}"
                for name, engine in sorted(machine.get("engines", {}).items())
            )
            machines.append(
                f"{json.dumps(kind)}: {{\n"
                f'"runtimes": {json.dumps(dict(sorted(machine["runtimes"].items())))},\n'
                + (f'"engines": {{\n{engines}\n}},\n' if engines else "")
                + f'"tests": {{\n{tests}\n}}\n}}'
            )
        text += [",\n".join(machines), "}", "}", ""]
        EXPECTED.mkdir(exist_ok=True)
        self.path.write_text("\n".join(text))
        summarize()

    def unexplained(self):
        """Our results that are not a pass and have no reason."""
        return [
            name
            for name, test in self.tests.items()
            if test.get(OURS, "pass") != "pass"
            and (test.get("why") or UNEXPLAINED).startswith(UNEXPLAINED)
        ]


def summarize():
    """Writes the counts of all tables into README.md."""
    rows = ["| suite | machine | runtime | pass | fail | skip | either |", "|---" * 7 + "|"]
    for path in sorted(EXPECTED.glob("*.json")):
        for kind, machine in json.loads(path.read_text())["machines"].items():
            for runtime in order(machine["runtimes"]):
                found = [test[runtime] for test in machine["tests"].values() if runtime in test]
                words = [status.split()[0] for status in found]
                numbers = [words.count(word) for word in ("pass", "fail", "skip", "either")]
                version = f"{runtime} {machine['runtimes'][runtime]}"
                rows.append(f"| {path.stem} | {kind} | {version} | {' | '.join(map(str, numbers))} |")
    replace(README, "results", rows)
    summarize_engines()


def summarize_engines():
    """Writes versions and counts of each engine's cases, ours and runc's, into the article on engines."""
    rows = ["| engine | versions | machine | cases | swrunc | runc |", "|---" * 6 + "|"]
    for suite in ("engines", "engines-here"):
        path = EXPECTED / f"{suite}.json"
        machines = json.loads(path.read_text())["machines"] if path.exists() else {}
        for kind, machine in machines.items():
            rows += engine_rows(machine, kind)
    replace(ENGINES, "engines", rows)


def engine_rows(machine, kind):
    tests = machine["tests"]
    for engine in dict.fromkeys(name.split(": ")[0] for name in tests):
        cases = [test for name, test in tests.items() if name.startswith(f"{engine}: ")]
        described = machine.get("engines", {}).get(engine, {})
        ours = described.get(OURS, {"versions": UNRECORDED, "cgroups": kind.removeprefix("test VM: ")})
        cells = [engine, ours["versions"], ours["cgroups"], str(len(cases))]
        for runtime in (OURS, "runc"):
            words = [test[runtime].split()[0] for test in cases if runtime in test]
            numbers = ", ".join(str(words.count(word)) for word in ("pass", "fail", "skip"))
            versions = described.get(runtime, ours)["versions"]
            other = "" if versions == ours["versions"] else f" ({versions})"
            cells.append(numbers + other if words else "not run")
        yield f"| {' | '.join(cells)} |"


def replace(path, name, rows):
    """Writes a table between two comments of a file."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, rest = path.read_text().split(begin)
    path.write_text(before + begin + "\n".join(rows) + "\n" + end + rest.split(end)[1])


def order(test):
    keys = [OURS, *sorted(key for key in test if key not in (OURS, "why")), "why"]
    return {key: test[key] for key in keys if key in test}


def counts(statuses):
    """"12 pass, 3 fail, 1 skip" """
    words = [status.split()[0] for status in statuses]
    return ", ".join(
        f"{words.count(word)} {word}" for word in ("pass", "fail", "skip") if word in words
    )
