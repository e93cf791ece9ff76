"""What clients may take together: memory, connections, time."""
import pathlib
import signal
import threading
import time

import pytest

from clients import os
from records import batch
from test_broker import create
from test_members import join
from wire import Closed, Connection

pytestmark = pytest.mark.ours
MIB = 1 << 20


def frame(connection, size):
    """A whole Produce request of one record of so many bytes."""
    return connection.frame("Produce", 9, Acks=-1, TimeoutMs=10000, TopicData=[
        {"Name": "t", "PartitionData": [
            {"Index": 0, "Records": batch([b"x" * size])}]}])


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
        assert 0.5 < time.monotonic() - began < 2.8
        assert idle.ended()
        assert time.monotonic() - began > 2


def test_sigterm_ends_it_though_joins_and_fetches_are_parked(start_broker):
    broker = start_broker(**{"coordinator.initial_rebalance_delay": "60s"})
    pid = int(broker.pid())
    parked = [Connection(broker.bootstrap) for _ in range(4)]
    try:
        create(parked[0], "t")
        for i, connection in enumerate(parked[:2]):
            asked = join(connection, f"g{i}")
            connection.send("JoinGroup", 7, **{
                "GroupId": f"g{i}", "SessionTimeoutMs": 60000,
                "RebalanceTimeoutMs": 60000, "MemberId": asked["MemberId"],
                "ProtocolType": "consumer", "Protocols": [
                    {"Name": "range", "Metadata": b"hello"}]})
        for connection in parked[2:]:
            connection.send(
                "Fetch", 11, ReplicaId=-1, MaxWaitMs=60_000, MinBytes=1,
                Topics=[{"Topic": "t", "Partitions": [
                    {"Partition": 0, "PartitionMaxBytes": 1000}]}])
        time.sleep(0.5)
        began = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        for connection in parked:
            with pytest.raises(Closed):
                while True:
                    connection.receive_frame()
        while pathlib.Path(f"/proc/{pid}/exe").exists():
            assert time.monotonic() - began < 10
            time.sleep(0.02)
    finally:
        for connection in parked:
            connection.close()
    log = pathlib.Path(broker.dir()).parent / "log"
    assert "stopped; the data is in" in log.read_text()
