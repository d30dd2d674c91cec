# SPDX-License-Identifier: Apache-2.0
"""What conformance/security/coverage begins with: inputs of each target, and the words from which changes are made."""

import json
import pathlib
import struct

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "spec-fixtures"

LANDLOCK = {
    "ruleset": {
        "handledAccessFS": ["execute", "write_file", "read_file"], "handledAccessNet": ["bind"], "scoped": ["signal"],
    },
    "rules": {"pathBeneath": [{"allowedAccess": ["execute", "read_file"], "paths": ["/usr", "/bin"], "optional": True}],
              "netPort": [{"allowedAccess": ["bind"], "ports": [80, 65535]}]},
    "disableBestEffort": False,
}
STATE = {"ociVersion": "1.3.0", "id": "box", "status": "running", "pid": 7, "bundle": "/b", "annotations": {"a": "b"}}
FEATURES = {
    "ociVersionMin": "1.0.0", "ociVersionMax": "1.3.0", "hooks": ["prestart"], "mountOptions": ["ro"],
    "linux": {"namespaces": ["mount"], "capabilities": ["CAP_KILL"], "cgroup": {"v1": True, "systemdUser": False},
              "seccomp": {"enabled": True, "actions": ["SCMP_ACT_ALLOW"], "operators": ["SCMP_CMP_EQ"], "archs": []},
              "apparmor": {"enabled": True}, "intelRdt": {"enabled": True, "schemata": True},
              "mountExtensions": {"idmap": {"enabled": True}}, "netDevices": {"enabled": False}},
    "annotations": {}, "potentiallyUnsafeConfigAnnotations": ["a."],
}
NOTES = {"version": 1, "id": "box", "mounts": [], "joinedNamespaces": ["network"], "emptyNetwork": True}
STATISTICS = {
    "cpu": {"usage": {"total": 9, "percpu": [1, 2], "kernel": 1, "user": 2}, "throttling": {"periods": 3},
            "psi": {"some": {"avg10": 1.5, "avg60": 2, "avg300": 0, "total": 4}, "full": {}}},
    "cpuset": {"cpus": [0, 1], "mems": [0], "sched_relax_domain_level": -1},
    "memory": {"cache": 1, "usage": {"limit": 18446744073709551615, "usage": 2, "max": 3, "failcnt": 4},
               "raw": {"anon": 1}, "outOfMemoryKills": 1, "events": {"low": 1, "high": 2, "max": 3, "oom": 4}},
    "pids": {"current": 1, "limit": 2}, "hugetlb": {"2MB": {"usage": 1, "max": 2, "failcnt": 3}},
    "blkio": {"ioServiceBytesRecursive": [{"major": 8, "minor": 0, "op": "Read", "value": 4096}]},
    "rdma": [{"device": "mlx4_0", "hcaHandles": 1, "hcaObjects": 2}],
    "intel_rdt": {
        "l3_cache_info": {"cbm_mask": "f", "min_cbm_bits": 1, "num_closids": 2}, "schemata": ["L3:0=f"],
        "mem_bw_info": {"bandwidth_gran": 10}, "mbm_stats": [{"mbm_total_bytes": 1}],
        "cmt_stats": [{"llc_occupancy": 1}],
    },
}
# Members of records that those of version 0.1 do not have.
RECORD = {
    "restored": True, "pausedBeforeStart": True, "rootMount": "7", "ownsCgroup": True, "outOfMemoryKillsBefore": "3",
    "externalStreams": ["pipe:[1]", "", ""], "resctrlGroups": ["/sys/fs/resctrl/a"], "stepStarts": [0, 2, 5],
    "timed": True, "timedSteps": [{"mark": 0, "name": "mount", "step": "mounts", "field": "mounts[0]"}],
    "choices": {"startsAtOnce": True},
    "addedMounts": [
        {"mount": {"destination": "/d", "source": "/s", "options": ["bind"]}, "identity": "18446744073709551615",
         "id": "9"},
    ],
    "addedDevices": [
        {"node": {"type": "c", "path": "/dev/x", "major": 1, "minor": 3}, "access": "rwm", "placement": "made"},
    ],
}

MOUNTS = """22 1 0:21 / / rw,relatime shared:1 - ext4 /dev/root rw
23 22 0:22 / /proc rw,nosuid - proc proc rw
31 22 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate
32 22 0:28 /a /sys/fs/cgroup/memory ro shared:2 master:1 unbindable - cgroup cgroup rw,memory
33 22 0:29 / /a\\040b\\134 rw - tmpfs tmpfs rw
"""
KERNEL = [
    "m" + MOUNTS + "\0" + "4:memory:/user.slice\n1:name=systemd:/\n0::/user.slice/a\n",
    "s7 (a b) c) S 1 7 7 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 12345 1 2 18446744073709551615",
    "proot:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
    "c0::/a/b\n1:memory:/x\n", "c0::/../other\n", "uusage_usec 1500\nuser_usec 1000\n",
    "i8:0 rbytes=100 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=2\n", "n0-3,8\n", "n65535,0-1-2\n",
    "t00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "kSIGRTMIN+3", "kterm", "k64", "k0", "bAAECAwQ=",
    "aunix:path=/run/user/1/bus,guid=1;unix:abstract=%2ftmp;tcp:host=a",
]
CGROUP = [
    "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 1\nnr_throttled 2\nthrottled_usec 3\n",
    "anon 100\nfile 700\ninactive_file 400\ncache 1\ntotal_inactive_file 5\n",
    "low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\n", "max\n",
    "8:0 rbytes=100 wbytes=20 rios=1 wios=1 dbytes=5 dios=1\n8:16 rbytes=1\n",
    "8:0 Read 4096\n8:0 Write 1\nTotal 4097\n",
    "some avg10=1.25 avg60=0.00 avg300=0.00 total=7\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    "mlx4_0 hca_handle=2 hca_object=2000\n", "0-3,8\n", "cpu user system\n0 10 20\n1 30 40\n",
    "user 7\nsystem 8\n", "18446744073709551615\n", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
]
TEXTS = [
    "v'text'", "vtrue", "v7", "vuint64 7", "v@as []", "v[1, 2]", "v('a', [<byte 0x07>])", "v1.5e3",
    "vb'bytes\\001'", "v\"\\u00e9\"", "v@a(st) [('a', 1)]",
]


def message(kind, fields, signature, body):
    """A message of D-Bus, little-endian; fields are (number, signature letter, text)."""
    inner = b""
    for number, letter, text in [*fields, (8, "g", signature)]:
        inner += b"\0" * (-len(inner) % 8) + bytes([number, 1]) + letter.encode() + b"\0"
        if letter == "g":
            inner += bytes([len(text)]) + text.encode() + b"\0"
        else:
            inner += b"\0" * (-len(inner) % 4) + struct.pack("<I", len(text)) + text.encode() + b"\0"
    head = struct.pack("<BBBBIII", ord("l"), kind, 0, 1, len(body), 7, len(inner)) + inner
    return b"d" + head + b"\0" * (-len(head) % 8) + body


def field(number, value):
    """A field of a protocol buffer: a number below 128, or bytes."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2, len(value)]) + value


def messages():
    calls = [(1, "o", "/org/freedesktop"), (2, "s", "org.a"), (3, "s", "Get"), (6, "s", "org.b")]
    body = struct.pack("<I4sIII4sI", 1, b"a\0\0\0", 8, 5, 6, b"\x01u\0\0", 9)
    version, features = field(10, field(1, 4) + field(2, 1)), field(8, field(1, 1) + field(2, 1))
    answer = field(1, 2) + field(2, 1) + field(4, field(1, 7)) + field(7, 2) + field(9, b"no") + version
    notice = field(1, 6) + field(2, 1) + field(5, field(1, b"post-restore") + field(2, 9)) + features
    return [message(1, calls, "sauv", body), message(2, [(3, "s", "a")], "a{sv}", struct.pack("<II", 0, 0)),
            message(3, [(4, "s", "org.no")], "s", struct.pack("<I", 2) + b"no\0"), b"c" + answer, b"c" + notice]


def files():
    program = bytes(range(16))
    page = struct.pack("<ii", 5, 2).ljust(1024, b"\0") + struct.pack("<qq", 1700000000, 5)
    notes = struct.pack("<QiIiiqq8s", 12345, 7, 0, 8, 9, 1700000000000000000, 1700000000000000001, b"swruncP1")
    return [b"s3 16 1\nkey" + program + b"name\nother\n", b"s3 8 0\nkey" + program[:8],
            b"p" + page.replace(b"\n", b"\0") + b"\n" + notes]


def configs():
    return [path.read_bytes() for path in sorted((FIXTURES / "good").glob("*.json"))]


def parts():
    """Pieces of the good configs that are documents of their own."""
    found = [STATE, FEATURES, LANDLOCK]
    for text in configs():
        config = json.loads(text)
        linux = config.get("linux") or {}
        found += [config.get("process"), config.get("mounts"), linux.get("resources"), linux.get("devices")]
        found += (config.get("mounts") or [])[:1] + (linux.get("devices") or [])[:1]
    return [encoded(part) for part in found if part]


def records():
    found = [json.loads(path.read_text()) for path in sorted((FIXTURES / "records-0.1").glob("*.json"))]
    return [encoded(one) for one in [*found, *[one | RECORD for one in found], NOTES, STATISTICS]]


def encoded(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def of(target):
    """The inputs that a target begins with."""
    bad = [path.read_bytes() for path in sorted((FIXTURES / "bad").glob("*.json"))]
    landlock = encoded(json.loads(configs()[0]) | {"annotations": {"org.swrunc.landlock": json.dumps(LANDLOCK)}})
    return {
        "reader": lambda: [*bad, *parts(), b'{"a":[1,-0.5e3,18446744073709551615,"\\ud83d\\ude00\\u0000"],"a":null}'],
        "config": lambda: [*configs(), *bad, landlock],
        "documents": lambda: [*parts(), *bad],
        "record": records,
        "plan": lambda: [*configs(), landlock],
        "kernel": lambda: [text.encode() for text in KERNEL],
        "statistics": lambda: [text.encode() for text in CGROUP],
        "messages": lambda: [*messages(), *[text.encode() for text in TEXTS]],
        "files": files,
    }[target]()


def names():
    """Names of fields, and texts that occur in the fixtures."""
    found = set()

    def walk(value):
        if isinstance(value, dict):
            found.update(value)
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)
        elif isinstance(value, str):
            found.add(value)

    for text in [*configs(), *records(), *parts()]:
        walk(json.loads(text))
    for line in (FIXTURES / "fields.txt").read_text().splitlines():
        if not line.startswith("#"):
            found.update(part for part in line.replace("[]", "").split(".") if part != "*")
    return sorted(name for name in found if name and name.isprintable() and len(name) < 100)


def words():
    return "".join(f"{name}\n" for name in names())


def dictionary():
    """The same in libFuzzer's form, with what else the formats are made of."""
    others = ["\\u0000", "\\ud800", "e-308", "18446744073709551616", "avg10=", "total=", " - cgroup2 ", "0::/", "a{sv}"]
    return "".join(f'"{"".join(map(escaped, name.encode()))}"\n' for name in [*names(), *others] if len(name) < 60)


def escaped(byte):
    plain = 0x20 <= byte < 0x7F and chr(byte) not in '"\\'
    return chr(byte) if plain else f"\\x{byte:02x}"
