"""The broker as its operator sees it: starts, stops, and its files."""
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

import pytest

import clients
from calls import (append, commit, committed, create, delete, fetch, look_up,
                   produce, to_fetch)
from clients import plain_records
from records import batch
from test_members import beat, enter, sync
from wire import Closed, Connection

pytestmark = pytest.mark.ours


def topics(connection):
    answer = connection.call("Metadata", 12, Topics=None)
    return {t["Name"]: (t["TopicId"], len(t["Partitions"]))
            for t in answer["Topics"]}


def cluster_id(connection):
    return connection.call("Metadata", 9, Topics=[])["ClusterId"]


@pytest.mark.parametrize("end", ("stop", "kill"))
def test_a_restart_keeps_everything(end, start_broker):
    broker = start_broker()
    sent = plain_records("kept", 100)
    clients.CONFLUENT.produce(broker.bootstrap, "kept", sent)
    with Connection(broker.bootstrap) as raw:
        assert commit(raw, "g", "kept", 42) == 0
        before = topics(raw), cluster_id(raw)
    if end == "stop":
        broker.run("stop", broker.handle)
        broker.assert_clean()
    else:
        broker.kill()
    broker.restart()
    with Connection(broker.bootstrap) as raw:
        assert (topics(raw), cluster_id(raw)) == before
        assert committed(raw, "g") == {("kept", 0): 42}
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


def serve(folder, address, program=clients.PROGRAM, before=()):
    """A broker as a person starts it, to see its words and its status."""
    return subprocess.Popen(
        [*before, program, "serve", "--set", f"node.data_dir={folder}",
         "--set", f"listeners.1.bind={address}"], cwd="/", text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def refusal(*args):
    """What it says when it refuses to start."""
    process = serve(*args)
    said = process.communicate(timeout=20)[0]
    assert process.returncode == 1, said
    return said


def test_a_folder_and_a_port_have_one_broker(start_broker, tmp_path):
    """What, who holds it, and what to do."""
    broker = start_broker()
    assert refusal(broker.dir(), "127.0.0.1:1") == (
        f'tidemark: the data folder "{broker.dir()}" is in use by process '
        f"{broker.pid()}; stop it, or choose another folder with --set "
        f"node.data_dir=PATH (the lock is {broker.dir()}/.lock)\n")
    assert refusal(tmp_path / "data", broker.bootstrap) == (
        f"tidemark: could not listen on {broker.bootstrap}: the port is taken "
        f"(held by {clients.PROGRAM.name}, process {broker.pid()}); stop that "
        "process or choose another port with --set "
        "listeners.1.bind=127.0.0.1:PORT\n")
    with Connection(broker.bootstrap) as raw:
        assert raw.call("ApiVersions", 0)["ErrorCode"] == 0


@pytest.fixture
def open_folder():
    """A folder that every user may enter, with the program in it."""
    with tempfile.TemporaryDirectory(prefix="tidemark-it.", dir="/tmp") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        shutil.copy(clients.PROGRAM, folder / "tidemark")
        yield folder


def test_a_folder_that_is_not_writable_is_refused(open_folder):
    """As nobody where the tests are root, whom no mode holds back."""
    theirs = open_folder / "theirs"
    theirs.mkdir(mode=0o555)
    before = ()
    if os.getuid() == 0:
        before = ("setpriv", "--reuid=65534", "--regid=65534",
                  "--clear-groups")
    for folder in theirs, theirs / "data":
        line, = refusal(folder, "127.0.0.1:1", open_folder / "tidemark",
                        before).splitlines()
        for words in (f'"{folder}": Permission denied',
                      f'"{theirs}" belongs to', "this process runs as",
                      "--set node.data_dir=PATH"):
            assert words in line, line
    assert list(theirs.iterdir()) == []


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT),
                         ids=lambda n: n.name)
def test_it_stops_with_status_0_and_says_where_the_data_is(number, tmp_path):
    folder = tmp_path / "data"
    process = serve(folder, f"127.0.0.1:{clients.free_port()}")
    try:
        assert "serves at" in process.stdout.readline()
        process.send_signal(number)
        said = process.communicate(timeout=10)[0]
    finally:
        process.kill()
    assert (process.returncode, said) == (
        0, f"tidemark stopped; the data is in {folder}\n")


def test_it_says_where_it_listens_with_the_ports_that_it_got(tmp_path):
    process = subprocess.Popen(
        [clients.PROGRAM, "serve", "--set", f"node.data_dir={tmp_path}/data",
         "--set", "listeners.1.bind=127.0.0.1:0",
         "--set", "listeners.2.bind=127.0.0.2:0",
         "--set", "listeners.2.advertise=broker1.example"],
        cwd="/", text=True, stdout=subprocess.PIPE)
    try:
        ports = re.search(r"serves at 127\.0\.0\.1:(\d+) and "
                          r"127\.0\.0\.2:(\d+), data in",
                          process.stdout.readline())
        for host, port, told_host in (
                ("127.0.0.1", ports[1], "127.0.0.1"),
                ("127.0.0.2", ports[2], "broker1.example")):
            with Connection(f"{host}:{port}") as raw:
                told, = raw.call("Metadata", 9, Topics=[])["Brokers"]
                assert (told["Host"], told["Port"]) == (told_host, int(port))
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()


def test_a_stop_beside_a_reader_of_sqlite_is_nothing_to_warn_of(tmp_path):
    process = serve(tmp_path / "data", f"127.0.0.1:{clients.free_port()}")
    try:
        line = process.stdout.readline()
        address = re.search(r"serves at (\S+),", line)[1]
        shell = sqlite3.connect(tmp_path / "data" / "meta.db",
                                isolation_level=None)
        # The first tables follow the first line by some milliseconds.
        deadline = time.monotonic() + 5
        while not shell.execute("select * from sqlite_schema where name ="
                                " 'topics'").fetchall():
            assert time.monotonic() < deadline
        shell.execute("begin")
        shell.execute("select * from topics").fetchall()
        with Connection(address) as raw:
            create(raw, "t")
        process.terminate()
        said = process.communicate(timeout=20)[0]
        shell.close()
    finally:
        process.kill()
    assert process.returncode == 0
    assert "another program uses" in said and "meta.db" in said, said
    assert "no checkpoint" not in said and "queue is full" not in said, said


@pytest.mark.parametrize("limit", (2, 3))
def test_a_partition_remembers_so_many_producers(limit, start_broker):
    """The one that was silent longest is forgotten: its retry is new."""
    broker = start_broker(**{"limits.producers": str(limit)})
    with Connection(broker.bootstrap) as raw:
        create(raw, "t")
        for producer in 1000, 1001, 1002:
            append(raw, "t", batch([b"x"], producer=(producer, 0, 0)))
        again = produce(raw, "t", batch([b"x"], producer=(1000, 0, 0)))
        assert again["BaseOffset"] == (0 if limit == 3 else 3), again


def test_a_second_sigterm_at_once_is_the_same_request(tmp_path):
    """GNU timeout, for one, signals its child and then the whole group."""
    process = serve(tmp_path / "data", f"127.0.0.1:{clients.free_port()}")
    try:
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=10)[0]
    finally:
        process.kill()
    assert process.returncode == 0 and "at once" not in said, said


def test_a_question_before_it_can_answer_does_not_end_it(tmp_path):
    lock = tmp_path / ".lock"
    os.mkfifo(tmp_path / ".clean")  # its start waits for who writes this
    process = serve(tmp_path, f"127.0.0.1:{clients.free_port()}")
    try:
        while not lock.exists() or not lock.read_text():
            time.sleep(0.01)
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.2)
        assert process.poll() is None
    finally:
        process.kill()
    process.communicate()


def test_clients_are_told_the_address_that_they_connected_to(
        start_broker, tmp_path):
    """And one beyond the loopback is bound only where somebody says so."""
    port = clients.free_port()
    assert "allow_insecure = true" in refusal(
        tmp_path / "data", f"0.0.0.0:{port}")
    broker = start_broker(**{
        "listeners.2.bind": f"0.0.0.0:{port}",
        "listeners.2.allow_insecure": "true",
        "listeners.3.bind": f"127.0.0.1:{clients.free_port()}",
        "listeners.3.advertise": "broker1.example:9093"})
    for host in "127.0.0.1", "127.1.2.3":
        with Connection(f"{host}:{port}") as raw:
            told, = raw.call("Metadata", 9, Topics=[])["Brokers"]
            assert (told["Host"], told["Port"]) == (host, port)


def test_sigterm_ends_it_though_clients_wait(start_broker):
    broker = start_broker()
    pid = int(broker.pid())
    with Connection(broker.bootstrap) as fetcher, \
            Connection(broker.bootstrap) as idle:
        create(fetcher, "t")
        fetcher.send("Fetch", 11, **to_fetch("t", wait=60_000, low=1))
        began = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        with pytest.raises((Closed, AssertionError)):
            while True:
                fetcher.receive("Fetch", 11)
        assert idle.ended()
        while pathlib.Path(f"/proc/{pid}/fd").exists() and any(
                True for _ in pathlib.Path(f"/proc/{pid}/fd").iterdir()):
            assert time.monotonic() - began < 20
            time.sleep(0.02)
    broker.assert_clean()


def test_old_segments_go_and_the_log_starts_later(start_broker):
    broker = start_broker(**{"storage.retention_check": "100ms"})

    def ends(raw):
        return [look_up(raw, "t", when)[0] for when in (-2, -1)]

    with Connection(broker.bootstrap) as raw:
        create(raw, "t", **{"segment.bytes": str(1 << 20),
                            "retention.bytes": str(3 << 20)})
        for _ in range(20):
            append(raw, "t", batch([os.urandom(500_000)]))
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
            part = fetch(raw, "t", offset, part_high=1)
            assert part["ErrorCode"] == error, offset


def test_segments_older_than_the_topic_keeps_go(start_broker):
    """retention.ms by the time of the records, as Kafka has it; the newest
    segment goes, too, once it has been rolled."""
    broker = start_broker(**{"storage.retention_check": "100ms"})
    with Connection(broker.bootstrap) as raw:
        create(raw, "t", **{"segment.bytes": str(1 << 20),
                            "retention.ms": "3000"})
        for _ in range(6):
            append(raw, "t", batch([os.urandom(400_000)]))
        assert look_up(raw, "t", -2)[0] == 0
        began = time.monotonic()
        while look_up(raw, "t", -2)[0] < 4:
            assert time.monotonic() - began < 10
            time.sleep(0.05)
        assert time.monotonic() - began > 2
        assert fetch(raw, "t", 0)["ErrorCode"] == 1
        assert look_up(raw, "t", -1)[0] == 6


@pytest.mark.parametrize("setting,made", [
    ("true", True), ("loopback", True), ("false", False)])
def test_topics_make_themselves_as_the_setting_says(
        setting, made, start_broker):
    """And as the request says: where it does not want it, never."""
    broker = start_broker(auto_create=setting)
    with Connection(broker.bootstrap) as raw:
        for wanted in False, True:
            told = raw.call("Metadata", 9, Topics=[{"Name": "t"}],
                            AllowAutoTopicCreation=wanted)["Topics"][0]
            there = wanted and made
            assert told["ErrorCode"] == (0 if there else 3)
            assert len(told["Partitions"]) == there
        assert ("t" in topics(raw)) == made


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
        append(raw, "t", batch([b"x"]))
        delete(raw, "t")
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
    connection.send("Fetch", 11, **to_fetch("t", wait=wait_ms, low=1))


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
    broker = start_broker(**{"limits.loops": "2"})
    with Connection(broker.bootstrap) as raw, \
            Connection(broker.bootstrap) as parked:
        create(raw, "t")
        park(parked, 600_000)
        broker.await_running("in step wait", 1)
        time.sleep(0.3)
        broker.await_running(
            r"runs: Fetch version 11 of .* at 127\.0\.0\.1:\d+: "
            r"in step wait since \d{3,} ms\n", 1)
        told = re.findall(r"wait since (\d+) ms", broker.log())
        assert int(told[-1]) - int(told[0]) >= 200
        printed(broker, r"runs: 2 connections on \d+ loops?\n")
        append(raw, "t", batch([b"x"]))
        answer = parked.receive("Fetch", 11)
        assert answer["Responses"][0]["Partitions"][0]["HighWatermark"] == 1
    log = pathlib.Path(broker.dir()).parent / "log"
    assert "slow:" not in log.read_text()
