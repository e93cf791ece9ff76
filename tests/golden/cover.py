#!/usr/bin/env python3
"""Are the golden bytes all that they must be? For each version of each request
that we serve, its lines must show: each field with another value than its
default, each nullable field null and not null, arrays of 0, 1 and 2 elements,
each tagged field present and absent. They are read, and written again, by the
test client's own codec (tests/it/wire.py), which shares no code with ours.

Prints what is missing, then "N passed, N failed", of messages."""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "it"))

import wire  # noqa: E402


def lines_of(path):
    """{version: [bytes]}"""
    found = {}
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            version, _, data = line.split("\t")[:3]
            found.setdefault(int(version), []).append(bytes.fromhex(data))
    return found


def look(fields, values, version, path, seen):
    """Notes what one message shows of its fields, in {path: {what}}."""
    for field in fields:
        if version not in field.versions:
            continue
        here = f"{path}.{field.name}"
        value = values[field.name]
        what = seen.setdefault(here, set())
        what.add("default" if value == field.default else "other")
        if value is None:
            what.add("null")
        elif field.many:
            what.add(f"{len(value)} elements")
        for one in (value or []) if field.many else [value]:
            if field.fields and one is not None:
                look(field.fields, one, version, here, seen)


def wanted(fields, version, path, flexible):
    """(path, what) that must have been seen."""
    for field in fields:
        if version not in field.versions:
            continue
        here = f"{path}.{field.name}"
        if field.many:
            yield from ((here, f"{n} elements") for n in range(3))
        elif not field.fields or version in field.null:
            yield here, "other"
        if version in field.null:
            yield here, "null"
        if flexible and field.tag is not None and version in field.tagged:
            yield here, "default"
        yield from wanted(field.fields, version, here, flexible)


def faults(api, side):
    tree = api.trees[side.lower()]
    lines = lines_of(HERE / "data" / f"{api.name}{side}.txt")
    for version in range(api.served.low, api.served.high + 1):
        flexible, seen = version in api.flexible, {}
        for data in lines.get(version, []):
            reader = wire.Reader(data)
            values = wire.decode(tree, reader, version, flexible)
            if (reader.at != len(data) or
                    wire.encode(tree, values, version, flexible) != data):
                yield f"{version}: the test client reads {data.hex()} wrong"
            look(tree, values, version, "", seen)
        for path, what in wanted(tree, version, "", flexible):
            if what not in seen.get(path, ()):
                yield f"{version}: {path[1:]} is never {what}"


def main():
    passed = failed = 0
    for api in wire.APIS.values():
        if api.served.high < 0:
            continue
        for side in "Request", "Response":
            found = list(faults(api, side))
            for fault in found:
                print(f"{api.name}{side} {fault}")
            passed, failed = passed + (not found), failed + bool(found)
    print(f"{passed} passed, {failed} failed")
    return failed or not passed


if __name__ == "__main__":
    sys.exit(bool(main()))
