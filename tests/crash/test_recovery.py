"""What a start reads after a kill, and what it does with a bad end."""
import os
import re
import time

import pytest

from ask import offsets, read_all, receive, send
from calls import append, create
from records import batch

GIB = int(os.environ.get("GIB", "1"))
FAST = os.environ.get("FAST", "0") != "0"
MIB = 1 << 20
READS = "read,readv,pread64,preadv,preadv2"


def fill(connection, topic, count, size=MIB - 1000, window=16):
    """Appends `count` batches of `size` bytes; how many bytes that was."""
    data = batch([os.urandom(size)])
    first = connection.correlation + 1
    for i in range(count + window):
        if i < count:
            send(connection, topic, data)
        if i >= window:
            part = receive(connection, first + i - window)
            assert part["ErrorCode"] == 0, part
    return count * len(data)


class Trace:
    """The reads of a start under strace, by the kind of file."""

    def __init__(self, node):
        self.path = node.folder / "strace"
        self.path.unlink(missing_ok=True)
        began = time.monotonic()
        # -D: the broker stays our child, strace is beside it.
        node.start(120, before=(
            "strace", "-D", "-f", "-y", "-s", "0", "-o", str(self.path), "-e",
            "trace=mmap," + READS))
        self.seconds = time.monotonic() - began

    def bytes(self, ending):
        """How many bytes of files with such names were read, those read
        twice counted once."""
        ranges = []
        for line in self.path.read_text().splitlines():
            match = re.search(r"(\w+)\(\d+<([^>]*)>(.*)\) += (\d+)", line)
            if not match or not match[2].endswith(ending):
                continue
            assert match[1] == "pread64", line
            start = int(match[3].rpartition(",")[2])
            ranges.append((match[2], start, start + int(match[4])))
        total, file, end = 0, None, 0
        for path, first, last in sorted(ranges):
            if path != file:
                file, end = path, 0
            total += max(0, last - max(first, end))
            end = max(end, last)
        return total


@pytest.mark.timeout(300 + 60 * GIB)
def test_only_the_unflushed_tail_of_a_large_log_is_read(
        node, record_property):
    count = 100 if FAST else GIB * 1025
    node.start()
    with node.connect() as connection:
        create(connection, "t", **{"segment.bytes": str(64 * MIB)})
        fill(connection, "t", count)
        # Indexes and producers' state are stored with the point, each second:
        # what came after is read again, flushed or not.
        time.sleep(2.5)
        tail = fill(connection, "t", 10)
    node.kill()
    trace = Trace(node)
    size = sum(p.stat().st_size for p in node.data.rglob("t-0/*.log"))
    read = trace.bytes(".log")
    record_property("told", f"recovery of {size / (1 << 30):.2f} GiB with "
                    f"{tail / MIB:.0f} MiB unflushed: {read / MIB:.0f} MiB "
                    f"read, {trace.seconds:.2f} s")
    assert size > count * (MIB - 1000)
    assert read <= tail + 2 * MIB
    with node.connect() as connection:
        assert offsets(connection, "t") == [count + 10]
    node.stop()
    trace = Trace(node)
    assert trace.bytes(".log") <= MIB, "after a clean stop"


@pytest.fixture
def partition(node):
    """A node that holds 20 records and is stopped, and the partition's
    folder."""
    node.start()
    with node.connect() as connection:
        create(connection, "t")
        for i in range(20):
            # Large enough for an entry of the index each.
            append(connection, "t", batch([b"%d" % i, b" " * 5000]))
    return node.data / "log" / "t-0"


def values(node):
    with node.connect() as connection:
        return [int(v) for _, v in read_all(connection, "t") if v.strip()]


@pytest.mark.parametrize("tail", [
    batch([b"torn"], base=40)[:-5], batch([b"torn"], base=40)[:30],
    batch([b"wrong"], base=40, crc=7), b"\0" * 5000, os.urandom(777)],
    ids=["torn", "half-header", "checksum", "zeros", "rubbish"])
def test_a_torn_tail_is_cut_kept_and_reported(node, partition, tail):
    node.kill()
    log, = partition.glob("*.log")
    sound = log.read_bytes()
    with log.open("ab") as out:
        out.write(tail)
    node.start()
    assert values(node) == list(range(20))
    assert log.read_bytes()[:len(sound)] == sound
    if tail.strip(b"\0"):
        kept = b"".join(p.read_bytes() for p in partition.glob("*.cut*"))
        assert kept == tail
        assert "t-0" in node.told()


@pytest.mark.parametrize("lost", ("*.index", "*.timeindex", "*index"))
def test_indexes_are_rebuilt(node, partition, lost):
    node.stop()
    before = {p.name: p.read_bytes() for p in partition.glob("*.index")}
    assert any(before.values())
    for path in partition.glob(lost):
        path.unlink()
    node.start()
    assert values(node) == list(range(20))
    node.stop()
    assert before == {
        p.name: p.read_bytes() for p in partition.glob("*.index")}
