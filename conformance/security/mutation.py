# SPDX-License-Identifier: Apache-2.0
"""Changes of JSON documents that keep most of their structure, so that they get past the first check.

Documents are dicts and lists. What JSON cannot say otherwise is written by `Raw`, a text that goes into the document
as it is; a key that ends in NUL loses it when it is written, so that a key may stand twice.
"""

import copy
import json


class Raw(str):
    pass


def text_of(value):
    """The JSON text of a document; lone surrogates in it stand for bytes that are not UTF-8."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key.rstrip(chr(0)))}: {text_of(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(text_of, value)) + "]"
    return json.dumps(value)


NUMBERS = [
    0, 1, -1, 2, 7, 127, 255, 256, 1023, 4095, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, -2**31, 2**53, 2**53 + 1,
    2**63 - 1, 2**63, -2**63, -2**63 - 1, 2**64 - 1, 2**64, 10**30, 0.5, -0.5, 1e3,
] + [Raw(text) for text in (
    "-0", "1E5", "1e400", "-1e400", "1e-400", "01", "+1", ".5", "1.", "0x10", "1_000", "9" * 400, "NaN", "Infinity",
    "1.0000000000000000000000001", "2147483647.5", "1e19", "18446744073709551615.0",
)]
STRINGS = [
    "", " ", ".", "..", "/", "//", "/.", "/..", "a", "/a", "../a", "../../../../../../../a", "a/../../a", "/a//b/./c/",
    "/link-out", "/link-out/made", "/up/made", "/loop", "/loop/x", "/fifo", "/socket", "/bin/true/x", "rootfs", "rootfs/up",
    "/proc/self/fd", "/proc/self/fd/3", "/proc/self/exe", "/proc/1/root", "/proc/self/attr/current", "/dev/null",
    "/dev/console", "/dev/ptmx", "/sys/fs/cgroup", "/proc", "/sys", "/dev", "/dev/pts/0", "/etc/passwd", "true",
    "a" * 255, "a" * 256, "/" + "a" * 255, "/" + "a" * 256, "/" + "a/" * 2050, "b" * 65536, "c" * 1000000,
    "\0", "a\0b", "/\0", "a\nb", "\x1b[31m", "\x7f", "\u0085", "\u202e", "\N{PILE OF POO}", "a=b", "=", "A=" + "d" * 140000,
    "%s%n", "$(true)", "-", "--", "-1", "0", "1", "0x10", "4294967296", "18446744073709551616", "0-", "0-99999999", "0,,1",
    "CAP_SYS_ADMIN", "SCMP_ACT_KILL", "RLIMIT_NOFILE", "mount", "user", "bind", "rbind", "ro", "private", "rshared", "tmpfs",
    "proc", "cgroup", "cgroup2", "overlay", "size=0", "size=99999999999999999999", "mode=9999", "uid=-1", "tmpcopyup",
    "net.ipv4.ip_forward", "kernel.shm_rmid_forced", "kernel..", "net/ipv4/../../kernel/core_pattern", "1.0.2", "99.0.0",
    Raw('"\\ud800"'), Raw('"\\udfff\\ud800"'), Raw('"\\u0000"'), Raw('"\\x"'), Raw('"\\u12"'), Raw('"\udcff\udcfe"'),
    Raw('"\udcc0\udc80"'), Raw('"\udced\udca0\udc80"'), Raw('"a\tb"'), Raw('"open'), Raw("'a'"),
]
OTHERS = [None, True, False, {}, [], [[]], {"": {}}, [None], {"a": None}, Raw("nul"), Raw("True"), Raw(""), Raw("{"), Raw("]"),
          Raw("{,}"), Raw("[1,]"), Raw("/* */ 1")]


def deep(random):
    """A value that is nested deeper than it may be, or just as deep."""
    depth = random.choice([10, 100, 500, 513, 1000, 10000, 200000])
    if random.random() < 0.5:
        return Raw("[" * depth + "]" * random.choice([depth, depth, depth - 1, 0]))
    return Raw('{"a":' * depth + "1" + "}" * random.choice([depth, depth, 0]))


def places(document):
    """All (container, key) pairs of a document."""
    found, waiting = [], [document]
    while waiting:
        value = waiting.pop()
        for key in value if isinstance(value, dict) else range(len(value)):
            found.append((value, key))
            if isinstance(value[key], (dict, list)):
                waiting.append(value[key])
    return found


def variant(random, value):
    """Something in place of a value, mostly of the same type."""
    if random.random() < 0.2:
        return random.choice([random.choice(NUMBERS), random.choice(STRINGS), random.choice(OTHERS)])
    if isinstance(value, bool) or value is None:
        return random.choice([True, False, None, 0, "true"])
    if isinstance(value, (int, float)):
        return random.choice([random.choice(NUMBERS), value + random.choice([-1, 1]), -value, str(value)])
    if isinstance(value, str):
        return random.choice([
            random.choice(STRINGS), value + random.choice(["/", "/..", "/../..", "\0", " ", "x" * 300]), value.upper(),
            value[:-1], "/" + value, value * 2, random.choice(["../", "./", " "]) + value, random.randrange(2**32),
        ])
    if isinstance(value, list):
        return random.choice([
            [], value * 2, value[::-1], value[: len(value) // 2], value * (1 + 1500 // (len(value) + 1)), value + [None],
            {str(at): part for at, part in enumerate(value)}, value[0] if value else 0,
        ])
    if isinstance(value, dict):
        return random.choice([{}, [value], list(value), {**value, "extra": deep(random)}, None])
    return value


def change_once(random, document, corpus):
    every = places(document)
    if not every:
        return
    holder, key = random.choice(every)
    kind = random.randrange(12)
    if kind <= 4:
        holder[key] = variant(random, holder[key])
    elif kind == 5:
        del holder[key]
    elif kind == 6:
        holder[key] = deep(random)
    elif kind == 7 and isinstance(holder, dict):
        holder[key + "\0"] = variant(random, holder[key])
    elif kind == 8 and isinstance(holder, dict):
        holder[random.choice([key.upper(), key + " ", "", "\u0131d", key[:-1], "x" * 70000])] = copy.deepcopy(holder[key])
    elif kind == 9:
        other, at = random.choice(every)
        holder[key], other[at] = copy.deepcopy(other[at]), copy.deepcopy(holder[key])
    elif kind == 10 and corpus:
        source, name = random.choice(corpus)
        if isinstance(holder, dict) and isinstance(source, dict):
            holder[name] = copy.deepcopy(source[name])
        else:
            holder[key] = copy.deepcopy(source[name])
    elif isinstance(holder, list):
        holder.insert(key, copy.deepcopy(random.choice(holder)))
    else:
        holder[key] = random.choice(random.choice([NUMBERS, STRINGS, OTHERS]))


def changed(random, document, corpus=()):
    """The text of a copy of the document with one to four changes."""
    document = copy.deepcopy(document)
    for _ in range(random.choice([1, 1, 1, 2, 2, 3, 4])):
        change_once(random, document, corpus)
    try:
        return text_of(document)
    except RecursionError:
        return text_of(deep(random))


def damaged(random, text):
    """Bytes, as text with surrogates for what is not UTF-8, that were a document before they were damaged."""
    data = bytearray(text.encode("utf-8", "surrogateescape"))
    for _ in range(random.choice([1, 1, 2, 5, 20])):
        at = random.randrange(len(data) + 1)
        kind = random.randrange(7)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            del data[at : at + random.choice([1, 2, 10, 100])]
        elif kind == 2:
            data[at:at] = random.choice([
                b"\0", b"\xff", b"\xc0\x80", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\x1b", b"//", b"/*", b"e", b"-",
                b"\xef\xbb\xbf", b" " * 100000, b"[" * 5000, b'"\\u', b"\r", b"\x0b", b"\xe2\x80\xa8",
            ])
        elif kind == 3:
            data[at:at] = data[at : at + random.choice([5, 50, 500])]
        elif kind == 4:
            del data[at:]
        elif kind == 5:
            data[at:at] = bytes(random.randrange(256) for _ in range(random.choice([1, 4, 40])))
        elif random.random() < 0.1:
            data = bytearray(bytes(data).decode("utf-8", "replace").encode(random.choice(["utf-16", "utf-32-le", "utf-7"])))
        else:
            data += random.choice([b"{}", b"\0", b" \n", b"x", bytes(data[:50])])
    return bytes(data).decode("utf-8", "surrogateescape")
