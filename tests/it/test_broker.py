"""The broker as its operator sees it: starts, stops, its files and its SQL."""
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

import clients
from clients import plain_records
from records import batch
from test_members import beat, enter, sync
from wire import Closed, Connection

pytestmark = pytest.mark.ours


def database(broker):
    return sqlite3.connect(f"file:{broker.dir()}/meta.db?mode=ro", uri=True)


def topics(connection):
    answer = connection.call("Metadata", 12, Topics=None)
    return {t["Name"]: (t["TopicId"], len(t["Partitions"]))
            for t in answer["Topics"]}


def cluster_id(connection):
    return connection.call("Metadata", 9, Topics=[])["ClusterId"]


def create(connection, name, partitions=1, **configs):
    answer = connection.call("CreateTopics", 7, timeoutMs=10000, Topics=[{
        "Name": name, "NumPartitions": partitions, "ReplicationFactor": 1,
        "Configs": [{"Name": n, "Value": v} for n, v in configs.items()]}])
    assert answer["Topics"][0]["ErrorCode"] == 0, answer
    return answer["Topics"][0]["TopicId"]


def produce(connection, topic, *batches):
    for one in batches:
        answer = connection.call("Produce", 9, Acks=-1, TimeoutMs=10000,
                                 TopicData=[{"Name": topic, "PartitionData": [
                                     {"Index": 0, "Records": one}]}])
        part = answer["Responses"][0]["PartitionResponses"][0]
        assert part["ErrorCode"] == 0, part


@pytest.mark.parametrize("end", ("stop", "kill"))
def test_a_restart_keeps_everything(end, start_broker):
    broker = start_broker()
    sent = plain_records("kept", 100)
    clients.CONFLUENT.produce(broker.bootstrap, "kept", sent)
    with Connection(broker.bootstrap) as raw:
        raw.call("OffsetCommit", 7, GroupId="g", Topics=[{
            "Name": "kept", "Partitions": [
                {"PartitionIndex": 0, "CommittedOffset": 42}]}])
        before = topics(raw), cluster_id(raw)
    if end == "stop":
        broker.run("stop", broker.handle)
    else:
        broker.kill()
    broker.restart()
    with Connection(broker.bootstrap) as raw:
        assert (topics(raw), cluster_id(raw)) == before
        answer = raw.call("OffsetFetch", 7, GroupId="g", Topics=None)
        assert answer["Topics"][0]["Partitions"][0]["CommittedOffset"] == 42
    reads = clients.JAVA.consume(broker.bootstrap, "kept", 100)
    assert [r.record for r in reads] == sent


def test_a_member_goes_on_after_kill_9_without_a_rebalance(start_broker):
    broker = start_broker(**{"coordinator.initial_rebalance_delay": "0s"})
    with Connection(broker.bootstrap) as raw:
        joined = enter(raw, "g")
        sync(raw, "g", joined, [(joined["MemberId"], b"all")])
        assert beat(raw, "g", joined) == 0
    broker.kill()
    broker.restart()
    with Connection(broker.bootstrap) as raw:
        assert beat(raw, "g", joined) == 0
        synced = sync(raw, "g", joined)
        assert (synced["ErrorCode"], synced["Assignment"]) == (0, b"all")


def shown_after_ms(broker, query, values, expected):
    """How long after now the query gives what is expected, at most 5 s, and
    how long it takes to ask when it is there."""
    def ask():
        with database(broker) as db:
            return db.execute(query, values).fetchall()

    begun = time.monotonic()
    while (rows := ask()) != expected:
        assert time.monotonic() - begun < 5, (rows, expected)
    shown = time.monotonic()
    ask()
    return (shown - begun) * 1000, (time.monotonic() - shown) * 1000


def test_a_change_is_in_sqlite_10_ms_after_its_answer(start_broker):
    """The median of many, less what asking takes on a busy machine."""
    broker = start_broker()
    waits = []
    with Connection(broker.bootstrap) as raw:
        for i in range(15):
            topic_id = create(raw, f"t{i}", 2)
            shown = clients.base64.urlsafe_b64encode(topic_id.bytes).decode()
            waits.append(shown_after_ms(
                broker, "select topic_id from topics where name = ?",
                (f"t{i}",), [(shown.rstrip("="),)]))
            raw.call("OffsetCommit", 7, GroupId="g", Topics=[{
                "Name": f"t{i}", "Partitions": [
                    {"PartitionIndex": 1, "CommittedOffset": i,
                     "CommittedMetadata": "note"}]}])
            waits.append(shown_after_ms(
                broker, 'select "offset", metadata from offsets where '
                "group_id = 'g' and topic = ? and partition = 1",
                (f"t{i}",), [(i, "note")]))
    late = sorted(shown - asked for shown, asked in waits)
    assert late[len(late) // 2] < 10, waits


def test_sqlite_never_meets_a_lock(start_broker):
    """Readers beside a broker that writes: none waits, none is refused."""
    broker = start_broker()
    path = f"file:{broker.dir()}/meta.db?mode=ro"
    over = threading.Event()
    reads, refused = [], []

    def read():
        while not over.is_set():
            try:
                db = sqlite3.connect(path, uri=True, timeout=0)
                reads.append(db.execute(
                    "select count(*) from topics").fetchone()[0])
                db.close()
            except sqlite3.Error as e:
                refused.append(e)

    thread = threading.Thread(target=read)
    thread.start()
    with Connection(broker.bootstrap) as raw:
        for i in range(100):
            create(raw, f"t{i}")
        while len(reads) < 50 and not refused:
            create(raw, f"more-{len(reads)}-{time.monotonic_ns()}")
    over.set()
    thread.join()
    assert refused == [] and reads == sorted(reads)


def test_topics_of_the_config_are_there_at_the_start(start_broker, tmp_path):
    config = tmp_path / "config.lua"
    config.write_text("""
        topics = {
            users = { partitions = 4 },
            logs = { partitions = 2,
                     config = { ["retention.ms"] = "30d" } },
        }
        """)
    broker = start_broker(CONFIG=str(config))
    with Connection(broker.bootstrap) as raw:
        assert {n: p for n, (_, p) in topics(raw).items()} == {
            "users": 4, "logs": 2}


def test_a_folder_and_a_port_have_one_broker(start_broker):
    broker = start_broker()
    other = [clients.os.environ.get("TIDEMARK",
                                    clients.ROOT / "build/tidemark"), "serve"]
    port = broker.bootstrap.rpartition(":")[2]
    for settings, word in (
            ((f"node.data_dir={broker.dir()}",
              "listeners.1.bind=127.0.0.1:9"), broker.pid()),
            ((f"node.data_dir={broker.dir()}-2",
              f"listeners.1.bind=127.0.0.1:{port}"), port)):
        done = subprocess.run(
            [*other, *(a for s in settings for a in ("--set", s))],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=20)
        assert done.returncode not in (0, None)
        assert word in done.stdout, done.stdout
    with Connection(broker.bootstrap) as raw:
        assert raw.call("ApiVersions", 0)["ErrorCode"] == 0


def test_sigterm_ends_it_though_clients_wait(start_broker):
    broker = start_broker()
    pid = int(broker.pid())
    with Connection(broker.bootstrap) as fetcher, \
            Connection(broker.bootstrap) as idle:
        create(fetcher, "t")
        fetcher.send("Fetch", 11, ReplicaId=-1, MaxWaitMs=60_000, MinBytes=1,
                     Topics=[{"Topic": "t", "Partitions": [
                         {"Partition": 0, "PartitionMaxBytes": 1000}]}])
        began = time.monotonic()
        clients.os.kill(pid, signal.SIGTERM)
        with pytest.raises((Closed, AssertionError)):
            while True:
                fetcher.receive("Fetch", 11)
        assert idle.ended()
        while pathlib.Path(f"/proc/{pid}/fd").exists() and any(
                True for _ in pathlib.Path(f"/proc/{pid}/fd").iterdir()):
            assert time.monotonic() - began < 10
            time.sleep(0.02)
    log = pathlib.Path(broker.dir()).parent / "log"
    assert broker.dir() in log.read_text(), "it says where the data is"


def test_old_segments_go_and_the_log_starts_later(start_broker):
    broker = start_broker(**{"storage.retention_check": "100ms"})

    def ends(raw):
        return [raw.call("ListOffsets", 4, ReplicaId=-1, Topics=[{
            "Name": "t", "Partitions": [
                {"PartitionIndex": 0, "Timestamp": when}]}])[
            "Topics"][0]["Partitions"][0]["Offset"] for when in (-2, -1)]

    with Connection(broker.bootstrap) as raw:
        create(raw, "t", **{"segment.bytes": str(1 << 20),
                            "retention.bytes": str(3 << 20)})
        for _ in range(20):
            produce(raw, "t", batch([clients.os.urandom(500_000)]))
        folder = pathlib.Path(broker.dir()) / "log" / "t-0"
        deadline = time.monotonic() + 10
        while sum(p.stat().st_size for p in folder.glob("*.log")) > 5 << 20:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        first, end = ends(raw)
        assert 5 <= first < end == 20
    broker.kill()
    broker.restart()
    with Connection(broker.bootstrap) as raw:
        again, end = ends(raw)
        assert first <= again < end == 20
        for offset, error in (0, 1), (first - 1, 1), (again, 0):
            wanted = {"Partition": 0, "FetchOffset": offset,
                      "PartitionMaxBytes": 1}
            answer = raw.call("Fetch", 11, ReplicaId=-1, MaxWaitMs=0,
                              MinBytes=0, Topics=[
                                  {"Topic": "t", "Partitions": [wanted]}])
            part = answer["Responses"][0]["Partitions"][0]
            assert part["ErrorCode"] == error, offset


def switches(pid):
    """How often the threads of a process went to sleep so far."""
    total = 0
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith(("voluntary", "nonvoluntary")):
                total += int(line.split()[1])
    return total


@pytest.mark.slow
def test_it_sleeps_when_nobody_is_there(start_broker):
    broker = start_broker()
    clients.CONFLUENT.produce(broker.bootstrap, "t", plain_records("x", 10))
    time.sleep(5)
    before = switches(broker.pid())
    time.sleep(30)
    assert switches(broker.pid()) == before


def test_deleted_topics_leave_no_files(start_broker):
    broker = start_broker()
    with Connection(broker.bootstrap) as raw:
        create(raw, "t", 3)
        produce(raw, "t", batch([b"x"]))
        raw.call("DeleteTopics", 5, TimeoutMs=10000, TopicNames=["t"])
    log = pathlib.Path(broker.dir()) / "log"
    deadline = time.monotonic() + 5
    while list(log.glob("t-*")):
        assert time.monotonic() < deadline, list(log.iterdir())
        time.sleep(0.05)


def printed(broker, pattern, deadline_s=10):
    """What the broker prints and matches, within so long."""
    log = pathlib.Path(broker.dir()).parent / "log"
    deadline = time.monotonic() + deadline_s
    while not (found := re.search(pattern, log.read_text())):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    return found


def park(connection, wait_ms):
    """A fetch that waits for a record; nobody reads the answer yet."""
    connection.send("Fetch", 11, ReplicaId=-1, MaxWaitMs=wait_ms, MinBytes=1,
                    Topics=[{"Topic": "t", "Partitions": [
                        {"Partition": 0, "PartitionMaxBytes": 1000}]}])


def test_a_slow_request_is_told_step_by_step(start_broker):
    broker = start_broker(**{"limits.slow_request": "200ms"})
    with Connection(broker.bootstrap) as raw:
        create(raw, "t")
        park(raw, 300)
        raw.receive("Fetch", 11)
        told = printed(
            broker, r"slow: Fetch version 11 of .* at 127\.0\.0\.1:\d+ took "
            r"(\d+) us: begin (\d+) us, wait (\d+) us, read (\d+) us, "
            r"respond (\d+) us\n")
        total, *steps = map(int, told.groups())
        assert total == sum(steps) and steps[1] >= 290_000
        raw.call("Heartbeat", 4, GroupId="nobody")
    log = pathlib.Path(broker.dir()).parent / "log"
    assert log.read_text().count("slow: Fetch") == 1
    assert "slow: Heartbeat" not in log.read_text()


def test_sigusr1_tells_what_runs(start_broker):
    """And ends nothing. Without the setting nothing is told of itself."""
    broker = start_broker()
    with Connection(broker.bootstrap) as raw, \
            Connection(broker.bootstrap) as parked:
        create(raw, "t")
        park(parked, 60_000)
        time.sleep(0.3)
        os.kill(int(broker.pid()), signal.SIGUSR1)
        told = printed(broker, r"runs: Fetch version 11 of .* at "
                       r"127\.0\.0\.1:\d+: in step wait since (\d+) ms\n")
        assert 200 <= int(told[1]) < 10_000
        printed(broker, r"runs: 2 connections on \d+ loops?\n")
        produce(raw, "t", batch([b"x"]))
        answer = parked.receive("Fetch", 11)
        assert answer["Responses"][0]["Partitions"][0]["HighWatermark"] == 1
    log = pathlib.Path(broker.dir()).parent / "log"
    assert "slow:" not in log.read_text()
