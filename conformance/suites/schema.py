# SPDX-License-Identifier: Apache-2.0
"""The runtime-spec's own JSON schema, over fixtures and over what the runtime writes."""

import json
import pathlib
import shutil
import subprocess

import scratch
import sources
from results import OURS, Result

REPO = pathlib.Path(__file__).resolve().parent.parent.parent


class Schemas:
    def __init__(self, folder):
        import jsonschema

        self.jsonschema = jsonschema
        self.folder = folder

    def check(self, document, name):
        """The result of a document, of text or decoded, against a schema."""
        path = self.folder / f"{name}-schema.json"
        schema = json.loads(path.read_text())
        # Schemas refer to each other by file name.
        resolver = self.jsonschema.RefResolver(path.as_uri(), schema)
        validator = self.jsonschema.Draft4Validator(schema, resolver=resolver)
        try:
            value = json.loads(document)
        except ValueError as error:
            return Result("fail", f"not JSON: {error}: {document[:200]}")
        errors = sorted(validator.iter_errors(value), key=lambda error: list(error.absolute_path))
        lines = [f"{'.'.join(map(str, e.absolute_path))}: {e.message}" for e in errors]
        return Result("fail", "\n".join(lines)) if lines else Result("pass")


class Container:
    """A container whose process sleeps, for the documents that the runtime writes of it."""

    def __init__(self, runtime, folder):
        self.command = [runtime.path, "--root", str(folder / "state")]
        self.bundle = folder / "bundle"
        rootfs = self.bundle / "rootfs"
        (rootfs / "bin").mkdir(parents=True)
        shutil.copy(shutil.which("busybox"), rootfs / "bin/busybox")
        for applet in ("sh", "sleep"):
            (rootfs / "bin" / applet).symlink_to("busybox")
        config = json.loads(self.spec())
        config["process"].update(terminal=False, args=["sleep", "100"])
        config["annotations"] = {"org.example.key": "value"}
        (self.bundle / "config.json").write_text(json.dumps(config))

    def call(self, *arguments):
        # Not to a pipe: the container inherits it, and would keep it open.
        with open(self.bundle / "output", "w+") as output:
            done = subprocess.run(
                [*self.command, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
            output.seek(0)
            text = output.read()
        return text if done.returncode == 0 else f"{' '.join(arguments)}: {text}"

    def spec(self, *arguments):
        (self.bundle / "config.json").unlink(missing_ok=True)
        self.call("spec", "--bundle", str(self.bundle), *arguments)
        return (self.bundle / "config.json").read_text()

    def states(self):
        """The state after each operation."""
        yield "created", self.call("create", "--bundle", str(self.bundle), "schema"), self.state()
        yield "running", self.call("start", "schema"), self.state()
        self.call("kill", "schema", "KILL")
        for _ in range(200):
            if '"stopped"' in (state := self.state()):
                break
        yield "stopped", "", state
        self.call("delete", "--force", "schema")

    def state(self):
        return self.call("state", "schema")


def run(runtime, only, logs):
    sources.install("python3-jsonschema", "busybox-static")
    tree, version = sources.debian_source("golang-github-opencontainers-specs", "sid")
    schemas = Schemas(tree / "schema")
    found = {}

    def check(name, document, schema):
        found[name] = schemas.check(document, schema)

    if runtime.name == OURS:
        for path in sorted((REPO / "spec-fixtures/good").glob("*.json")):
            check(f"good fixture {path.name}", path.read_text(), "config")
    with scratch.Scratch("schema") as folder:
        container = Container(runtime, folder)
        for name, operation, state in container.states():
            check(f"state of a {name} container", operation or state, "state")
        check("spec", container.spec(), "config")
        check("spec --rootless", container.spec("--rootless"), "config")
        check("features", container.call("features"), "features")
        if runtime.name == OURS:
            for kind in ("good", "bad"):
                for path in sorted((tree / "schema/test/config" / kind).glob("*.json")):
                    shutil.copy(path, container.bundle / "config.json")
                    name = f"{kind} config of the schema's tests, {path.name}"
                    found[name] = judge_config(container, kind)
    for name, result in found.items():
        (logs / name.replace("/", " ")).write_text(result.detail)
    found = {name: result for name, result in found.items() if not only or only.search(name)}
    return f"golang-github-opencontainers-specs {version}", found


def judge_config(container, kind):
    """Good ones must be understood, bad ones refused; explain does what create does before it acts."""
    said = container.call("explain", "--bundle", str(container.bundle))
    refused = said.startswith("explain ")
    if refused == (kind == "bad"):
        return Result("pass")
    return Result("fail", said)
