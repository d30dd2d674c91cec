# SPDX-License-Identifier: Apache-2.0
"""The runtime-spec's own JSON schema, applied to fixtures and to the runtime's output."""

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
        """The result of checking a document, as text or decoded, against a schema."""
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


class Fields:
    """The fields of the schema of configs, in the form of spec-fixtures/fields.txt."""

    # Fields of Windows, two that 1.3 removed again, and a list that must still be empty.
    OTHERS = {
        "process.commandLine",
        "process.user.username",
        "linux.intelRdt.enableCMT",
        "linux.intelRdt.enableMBM",
        "linux.personality.flags[]",
    }

    def __init__(self, folder):
        self.folder = folder
        self.found = set()
        self.walk({"$ref": "config-schema.json#"}, "config-schema.json", "")

    def walk(self, schema, name, path):
        while "$ref" in schema:
            target, _, pointer = schema["$ref"].partition("#")
            name = target or name
            schema = json.loads((self.folder / name).read_text())
            for part in pointer.split("/"):
                schema = schema[part] if part else schema
        for kind in ("allOf", "anyOf", "oneOf"):
            for part in schema.get(kind, []):
                self.walk(part, name, path)
        below = {f"{path}.{key}".lstrip("."): s for key, s in schema.get("properties", {}).items()}
        for platform in ("windows", "solaris", "vm", "zos"):
            below.pop(platform, None)
        if isinstance(schema.get("items"), dict):
            below[f"{path}[]"] = schema["items"]
        maps = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
        below |= {f"{path}.*": part for part in maps if isinstance(part, dict)}
        for place, part in below.items():
            # The model has clocks as a map.
            self.found.add(place.replace(".boottime", ".*").replace(".monotonic", ".*"))
            self.walk(part, name, place)

    def compare(self, listed):
        missing = self.found - self.OTHERS - set(listed.splitlines())
        return Result("fail", "\n".join(sorted(missing))) if missing else Result("pass")


class Container:
    """A container whose process sleeps, for the documents that the runtime prints about it."""

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
        # Not a pipe: the container would inherit it and keep it open.
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
    tree, version = sources.debian_source("golang-github-opencontainers-specs", sources.NEWEST)
    schemas = Schemas(tree / "schema")
    found = {}

    def check(name, document, schema):
        found[name] = schemas.check(document, schema)

    if runtime.name == OURS:
        for path in sorted((REPO / "spec-fixtures/good").glob("*.json")):
            check(f"good fixture {path.name}", path.read_text(), "config")
        listed = (REPO / "spec-fixtures/fields.txt").read_text()
        found["the list of fields"] = Fields(schemas.folder).compare(listed)
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
                    found[f"validate: {name}"] = judge_report(container, kind)
    for name, result in found.items():
        (logs / name.replace("/", " ")).write_text(result.detail)
    found = {name: result for name, result in found.items() if not only or only.search(name)}
    return f"golang-github-opencontainers-specs {version}", found


def judge_report(container, kind):
    """validate finds every bad config on every machine, also those that are not JSON."""
    said = container.call("validate", "--spec-only", "--bundle", str(container.bundle))
    found = said.startswith("validate ")
    return Result("pass") if found == (kind == "bad") else Result("fail", said)


def judge_config(container, kind):
    """Good configs must be accepted, bad ones refused; explain makes the same checks as create."""
    said = container.call("explain", "--bundle", str(container.bundle))
    refused = said.startswith("explain ")
    if refused == (kind == "bad"):
        return Result("pass")
    return Result("fail", said)
