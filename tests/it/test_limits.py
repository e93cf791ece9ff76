"""What clients may take together: memory, connections, time."""
import pathlib
import signal
import struct
import threading
import time

import pytest

from clients import os
from records import batch
from calls import append, commit, create, fetch, to_fetch, to_produce
from test_members import join, to_join
from wire import Closed, Connection

pytestmark = pytest.mark.ours
MIB = 1 << 20


def frame(connection, size):
    """A whole Produce request of one record of so many bytes."""
    return connection.frame("Produce", 9, **to_produce(
        "t", batch([b"x" * size])))


def resident(broker):
    for line in pathlib.Path(
            f"/proc/{broker.pid()}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise LookupError("VmRSS")


def produce_error(connection):
    answer = connection.receive("Produce", 9)
    return answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"]


@pytest.fixture
def tight(start_broker):
    """A broker with 32 MiB for all requests together, and its topic."""
    broker = start_broker(**{"limits.memory": "32MiB"})
    with Connection(broker.bootstrap) as raw:
        create(raw, "t", **{"max.message.bytes": str(2 * MIB)})
    return broker


def test_frames_larger_than_the_memory_together_are_all_answered(tight):
    """Each in its turn: they do not wait for each other half read."""
    errors, peak = [], 0

    def one():
        with Connection(tight.bootstrap, timeout=60) as connection:
            connection.socket.sendall(frame(connection, MIB - 1000))
            errors.append(produce_error(connection))

    threads = [threading.Thread(target=one) for _ in range(100)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        peak = max(peak, resident(tight))
        time.sleep(0.02)
    assert errors == [0] * 100
    assert peak < 32 * MIB + 24 * MIB


def test_200_clients_with_half_a_frame_each_stay_within_the_memory(
        start_broker):
    """Others wait at most until the half frames' time is over."""
    tight = start_broker(**{"limits.memory": "32MiB",
                            "limits.frame_wait": "2s"})
    with Connection(tight.bootstrap) as raw:
        create(raw, "t")
    connections = [Connection(tight.bootstrap) for _ in range(200)]
    try:
        for connection in connections:
            connection.socket.setblocking(False)
            try:
                connection.socket.send(frame(connection, MIB)[:MIB // 2])
            except BlockingIOError:
                pass
        time.sleep(1)
        assert resident(tight) < 32 * MIB + 24 * MIB
        began = time.monotonic()
        with Connection(tight.bootstrap) as other:
            other.call("Metadata", 9, Topics=None)
            other.socket.sendall(frame(other, 100))
            assert produce_error(other) == 0
        assert time.monotonic() - began < 10
    finally:
        for connection in connections:
            connection.close()


def test_a_frame_that_is_only_announced_takes_no_memory(start_broker):
    """50 of 92 MiB, of which a little comes, and a little more: neither the
    system's, nor what large requests may have together, which is 96 MiB."""
    broker = start_broker(**{"limits.memory": "128MiB"})
    with Connection(broker.bootstrap) as other:
        create(other, "t")
        connections = [Connection(broker.bootstrap) for _ in range(50)]
        before = resident(broker)
        try:
            for connection in connections:
                connection.socket.sendall(
                    struct.pack(">i", 92 * MIB) +
                    frame(connection, MIB)[4:104])
            time.sleep(0.5)
            for connection in connections:
                connection.socket.sendall(bytes(100))
            time.sleep(0.5)
            began = time.monotonic()
            append(other, "t", batch([os.urandom(1_000_000)]))
            assert time.monotonic() - began < 5
            assert resident(broker) - before < 16 * MIB
        finally:
            for connection in connections:
                connection.close()


def test_a_client_that_never_reads_costs_little_and_holds_up_nobody(tight):
    """Its requests are not read any more, and what it asked for stays on the
    disk until there is room on its connection."""
    with Connection(tight.bootstrap) as raw:
        append(raw, "t", *(batch([os.urandom(MIB)]) for _ in range(8)))
        greedy = [Connection(tight.bootstrap) for _ in range(8)]
        try:
            for connection in greedy:
                connection.socket.setblocking(False)
                asked = connection.frame("Fetch", 11, **to_fetch("t")) * 2000
                sent = 0
                try:
                    while sent < len(asked):
                        sent += connection.socket.send(asked[sent:])
                        time.sleep(0.005)
                except BlockingIOError:
                    pass
            began = time.monotonic()
            for _ in range(20):
                append(raw, "t", batch([b"x"]))
                assert fetch(raw, "t", part_high=1)["ErrorCode"] == 0
            assert time.monotonic() - began < 5
            assert resident(tight) < 32 * MIB + 24 * MIB
            # Who begins to read gets all that it asked for.
            greedy[0].socket.setblocking(True)
            greedy[0].socket.settimeout(20)
            for _ in range(5):
                _, answer = greedy[0].receive_frame()
                assert len(answer) > 8 * MIB
        finally:
            for connection in greedy:
                connection.close()


def test_connections_have_a_limit(start_broker):
    broker = start_broker(**{"limits.connections": "5"})
    kept = []
    try:
        for _ in range(5):
            kept.append(Connection(broker.bootstrap))
            kept[-1].call("ApiVersions", 0)
        with Connection(broker.bootstrap) as beyond:
            assert beyond.ended()
        kept.pop().close()
        deadline = time.monotonic() + 5
        while True:
            with Connection(broker.bootstrap) as again:
                try:
                    again.call("ApiVersions", 0)
                    break
                except (Closed, OSError):
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
        for connection in kept:
            connection.call("ApiVersions", 0)
    finally:
        for connection in kept:
            connection.close()


def test_half_a_frame_and_silence_have_an_end(start_broker):
    broker = start_broker(**{"limits.frame_wait": "1s", "limits.idle": "3s"})
    with Connection(broker.bootstrap) as half, \
            Connection(broker.bootstrap) as idle:
        half.socket.sendall(half.frame("ApiVersions", 0)[:-3])
        idle.call("ApiVersions", 0)
        began = time.monotonic()
        assert half.ended()
        after = time.monotonic() - began
        assert idle.ended()
        assert 0.5 < after < time.monotonic() - began
        assert time.monotonic() - began > 2


def test_sigterm_ends_it_though_joins_and_fetches_are_parked(start_broker):
    broker = start_broker(**{"coordinator.initial_rebalance_delay": "60s"})
    pid = int(broker.pid())
    parked = [Connection(broker.bootstrap) for _ in range(4)]
    try:
        create(parked[0], "t")
        for i, connection in enumerate(parked[:2]):
            asked = join(connection, f"g{i}")
            connection.send("JoinGroup", 7, **to_join(
                f"g{i}", asked["MemberId"], RebalanceTimeoutMs=60_000))
        for connection in parked[2:]:
            connection.send("Fetch", 11, **to_fetch("t", wait=60_000, low=1))
        broker.await_running("runs: JoinGroup version", 2)
        broker.await_running("runs: Fetch version .*: in step wait", 2)
        began = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        for connection in parked:
            with pytest.raises(Closed):
                while True:
                    connection.receive_frame()
        while pathlib.Path(f"/proc/{pid}/exe").exists():
            assert time.monotonic() - began < 20
            time.sleep(0.02)
    finally:
        for connection in parked:
            connection.close()
    broker.assert_clean()


def test_what_clients_do_wrong_does_not_fill_the_log(start_broker):
    """Lines about it are bounded in a second, and say how many were left
    out."""
    broker = start_broker(**{"limits.connections": "60", "limits.loops": "1"})
    began = time.monotonic()
    for wrong in b"\x7f\xff\xff\xff", b"\x00\x00\x00\x08" + b"\x7f" * 8:
        for _ in range(100):
            with Connection(broker.bootstrap) as connection:
                connection.socket.sendall(wrong)
                assert connection.ended()
    kept = [Connection(broker.bootstrap) for _ in range(60)]
    for connection in kept:
        connection.call("ApiVersions", 0)
    for _ in range(100):
        with Connection(broker.bootstrap) as beyond:
            assert beyond.ended()
    seconds = int(time.monotonic() - began) + 2
    time.sleep(1)
    with Connection(broker.bootstrap) as beyond:
        assert beyond.ended()
    for connection in kept:
        connection.close()
    told = (pathlib.Path(broker.dir()).parent / "log").read_text()
    assert 1 <= told.count("a frame of") <= 10 * seconds
    assert 1 <= told.count("is not served here") <= 10 * seconds
    assert 2 <= told.count("refused a connection") <= seconds + 1
    assert "like it since the last such line" in told


def test_groups_beyond_the_limit_do_not_fill_the_log(start_broker):
    broker = start_broker(**{"limits.groups": "1"})
    began = time.monotonic()
    with Connection(broker.bootstrap) as raw:
        create(raw, "t")
        assert commit(raw, "first", "t", 1) == 0
        for i in range(200):
            assert commit(raw, f"g{i}", "t", 1) == 15  # not available
        assert commit(raw, "first", "t", 2) == 0
        seconds = int(time.monotonic() - began) + 2
        time.sleep(1)
        assert commit(raw, "last", "t", 1) == 15
    told = broker.log()
    assert 2 <= told.count("limits.groups (1) is reached") <= 5 * seconds + 1
    assert "like it since the last such line" in told
