"""A stop that is in a hurry: a disk on which every sync takes long, or does
not come back."""
import time

import pytest

from ask import append_to_all, offsets, read_all
from calls import create
from records import batch

PARTITIONS = 400
ALL = range(PARTITIONS)
SYNC_MS = 50  # about six for each partition that is sealed
OVER_S = 10   # a stop is over by then


def stop(node):
    began = time.monotonic()
    node.stop(OVER_S + 5)
    return time.monotonic() - began


@pytest.mark.timeout(200)
def test_a_stop_ends_in_time_though_the_disk_is_slow(node):
    arm = node.folder / "arm"
    node.start(60, FAULT_CALLS="sync", FAULT_HOW="slow", FAULT_MS=SYNC_MS,
               FAULT_AT=1, FAULT_TIMES=10**9, FAULT_ARM=arm)
    with node.connect(timeout=60) as connection:
        create(connection, "t", partitions=PARTITIONS)
        append_to_all(connection, "t", batch([b"here"]), ALL)
    arm.touch()
    assert stop(node) < OVER_S
    assert "partitions not sealed: the next start recovers" in node.told()
    # Which it does; and in its turn seals them all, now that syncs are quick.
    node.start(120)
    with node.connect(timeout=60) as connection:
        assert offsets(connection, "t", partitions=ALL) == [1] * PARTITIONS
        assert [v for _, v in read_all(connection, "t")] == [b"here"]
    stop(node)
    assert node.told().rstrip().splitlines()[-1].startswith(
        "tidemark stopped; the data is in")


def test_a_stop_ends_in_time_though_its_loop_hangs(node):
    """In the sync of the last file, which no timer of the loop interrupts."""
    node.start(FAULT_PATHS="/data/.clean", FAULT_CALLS="sync",
               FAULT_HOW="slow", FAULT_MS=60_000, FAULT_AT=1,
               FAULT_TIMES=10**9)
    with node.connect() as connection:
        create(connection, "t")
        append_to_all(connection, "t", batch([b"here"]), [0])
    assert stop(node) < OVER_S + 3
    assert "tidemark stopped after 9 s: the disk does not answer; the next " \
        "start recovers" in node.told()
    node.start()
    with node.connect() as connection:
        assert [v for _, v in read_all(connection, "t")] == [b"here"]
