"""A bit that flips below the flushed point is reported by topic, offset and
file, wherever it is; nothing is cut, and the rest is served."""
import re
import subprocess

import pytest

from ask import append_to_all, offsets
from calls import append, create, fetch
from node import PROGRAM
from records import HEAD_SIZE, batch, batches

# Partition n of the topic has its byte n flipped: all of a header, and one of
# the records behind it.
PARTITIONS = HEAD_SIZE + 1
BATCHES, HURT = 5, 2
ERROR = 56  # KAFKA_STORAGE_ERROR


def fill(node, padding):
    """Batches of one record each, all of the same size, in all partitions."""
    with node.connect() as connection:
        create(connection, "t", PARTITIONS)
        for i in range(BATCHES):
            append_to_all(connection, "t", batch([b"%d" % i + b" " * padding]),
                          range(PARTITIONS))


def flip(path, byte):
    """Flips a bit of the hurt batch; the bytes that are now in the file."""
    data = bytearray(path.read_bytes())
    data[len(data) // BATCHES * HURT + byte] ^= 1 << byte % 8
    path.write_bytes(data)
    return bytes(data)


def check_told(lines, index, name):
    """One line names the partition, the offset and the file."""
    assert any(re.search(rf"\bt-{index}\b.*\boffset {HURT}\b.*", line)
               and f"t-{index}/{name}" in line for line in lines), index


def served(connection, index):
    """What a fetch at each offset finds: the base of a batch, or an error."""
    found = []
    for offset in range(BATCHES):
        part = fetch(connection, "t", offset, part_high=1, partition=index)
        if part["ErrorCode"]:
            found.append(-part["ErrorCode"])
        else:
            first = next(batches(part["Records"]))
            assert first.intact and first.epoch == 0
            found.append(first.base)
    return found


# A start after a kill reads from the last entry of the index: small batches
# have none, large ones have one each. After a stop nothing is read.
@pytest.mark.parametrize("end,padding", [
    ("kill", 0), ("kill", 5000), ("stop", 0)])
def test_a_flipped_bit_is_reported_not_cut(node, end, padding):
    node.start()
    fill(node, padding)
    getattr(node, end)()
    paths = [next((node.data / "log" / f"t-{n}").glob("*.log"))
             for n in range(PARTITIONS)]
    hurt = [flip(path, n) for n, path in enumerate(paths)]
    done = subprocess.run([PROGRAM, "log", "check", str(node.data)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    assert done.returncode != 0
    node.start()
    with node.connect() as connection:
        for n, path in enumerate(paths):
            assert served(connection, n) == [0, 1, -ERROR, 3, 4], n
            append(connection, "t", batch([b"next"]), partition=n)
            assert path.read_bytes().startswith(hurt[n]), "something is cut"
            assert not list(path.parent.glob("*.cut*"))
        assert offsets(connection, "t", partitions=range(PARTITIONS)) == [
            BATCHES + 1] * PARTITIONS
    told = node.log.read_text().splitlines()
    for n, path in enumerate(paths):
        check_told(done.stdout.splitlines(), n, path.name)
        check_told(told, n, path.name)
