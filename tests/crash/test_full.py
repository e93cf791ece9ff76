"""A volume that is full to the last byte: a broker that was killed on it
starts, serves what it has, deletes topics, and goes on by itself.

The volume is real where one may mount (a tmpfs in a mount namespace of its
own), and made up by full_shim.c everywhere."""
import os
import pathlib
import shutil
import subprocess
import threading
import time

import pytest

import ask
import calls
import load
from node import Closed, die_with_parent
from records import batch

BYTES = 64 << 20
STORAGE_ERROR, NOT_FOUND = 56, 3


class Mounted:
    """A tmpfs, seen from outside through the process that keeps it."""

    def __init__(self, folder):
        command = ["unshare", "-m", "sh", "-c",
                   f"mount -t tmpfs -o size={BYTES} tidemark '{folder}' && "
                   "echo there && exec sleep infinity"]
        if not all(map(shutil.which, ("unshare", "nsenter"))):
            command = ["false"]
        self.keeper = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent)
        self.is_there = self.keeper.stdout.readline() == b"there\n"
        self.seen = pathlib.Path(f"/proc/{self.keeper.pid}/root{folder}")
        self.start = {"before": ["nsenter", "-t", str(self.keeper.pid), "-m"]}

    def left(self):
        volume = os.statvfs(self.seen)
        return volume.f_bavail * volume.f_frsize

    def close(self):
        self.keeper.kill()
        self.keeper.wait()
        self.keeper.stdout.close()


class MadeUp:
    """A folder that full_shim.c holds to be a volume."""

    def __init__(self, folder):
        self.seen = folder
        self.start = {"FULL_BYTES": BYTES, "FULL_FOLDER": folder}

    def left(self):
        used = 0
        for folder, _, files in os.walk(self.seen):
            for name in files:
                try:
                    used += os.lstat(os.path.join(folder, name)).st_blocks
                except FileNotFoundError:
                    pass
        return BYTES - used * 512

    def close(self):
        pass


@pytest.fixture(params=["mounted", "made up"])
def volume(request, node, record_property):
    folder = node.folder / "volume"
    folder.mkdir()
    volume = Mounted(folder) if request.param == "mounted" else MadeUp(folder)
    if request.param == "mounted" and not volume.is_there:
        volume.close()
        record_property("told", "nobody may mount here: a made up volume alone "
                        "is filled")
        volume = MadeUp(folder)
    node.data = folder / "data"
    node.settings["node.data_dir"] = node.data
    node.settings["defaults.partitions"] = 1
    yield volume
    node.kill()
    volume.close()


def fill(volume, but=0):
    """Somebody else takes all that is left, but so much."""
    with open(volume.seen / "filler", "ab", buffering=0) as file:
        while (left := volume.left() - but & ~4095) > 0:
            try:
                file.write(b"x" * min(left, 1 << 20))
            except OSError:
                break
    assert volume.left() < but + 4096


def produce(connection, topic, value):
    return calls.produce(connection, topic, batch([value]))["ErrorCode"]


def produce_until_refused(connection, topic):
    """How many records of 250,000 bytes were taken."""
    for count in range(2 * BYTES // 250_000):
        error = produce(connection, topic, os.urandom(250_000))
        if error:
            assert error == STORAGE_ERROR
            return count
    raise AssertionError("it was never full")


def create(connection, topic):
    return connection.call("CreateTopics", 5, timeoutMs=10000, Topics=[{
        "Name": topic, "NumPartitions": 1, "ReplicationFactor": 1,
        "Configs": [{"Name": "segment.bytes", "Value": str(1 << 20)}]}])[
            "Topics"][0]["ErrorCode"]


def delete(connection, topic):
    return connection.call("DeleteTopics", 5, TimeoutMs=10000,
                           TopicNames=[topic])["Responses"][0]["ErrorCode"]


def commit(connection, topic):
    answer = connection.call("OffsetCommit", 7, GroupId="g", Topics=[{
        "Name": topic, "Partitions": [{"PartitionIndex": 0,
                                       "CommittedOffset": 1}]}])
    return answer["Topics"][0]["Partitions"][0]["ErrorCode"]


def soon(what, seconds=15):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_kill_on_a_full_volume(node, volume):
    reserve = volume.seen / "data/.reserve"
    node.start(**volume.start)
    with node.connect() as connection:
        assert reserve.stat().st_size > 0
        assert create(connection, "big") == create(connection, "small") == 0
        taken = produce_until_refused(connection, "big")
        assert taken > 100
        fill(volume, but=1 << 20)  # below what is kept free
        soon(lambda: commit(connection, "big") in load.RETRIABLE)
        assert create(connection, "more") != 0
    fill(volume)
    node.kill()

    node.start(**volume.start)
    with node.connect() as connection:
        assert not reserve.exists(), node.told()
        assert len(ask.read_all(connection, "big")) == taken
        assert produce(connection, "small", b"x") == STORAGE_ERROR
        assert create(connection, "more") != 0
        assert delete(connection, "big") == 0
        soon(lambda: produce(connection, "small", b"x") == 0)
        soon(reserve.exists, 60)  # looks more and more seldom
        soon(lambda: create(connection, "more") == 0)
        assert "space again" in node.told()
    node.stop()


def test_a_full_volume_under_a_broker_that_runs(node, volume):
    reserve = volume.seen / "data/.reserve"
    node.start(**volume.start)
    with node.connect() as connection:
        assert create(connection, "big") == create(connection, "small") == 0
        taken = produce_until_refused(connection, "big")
        fill(volume)
        time.sleep(1.2)  # the points of all logs are stored, or cannot be
        assert produce(connection, "small", b"x") == STORAGE_ERROR
        assert len(ask.read_all(connection, "big")) == taken
        assert delete(connection, "big") == 0, node.told()
        assert delete(connection, "big") == NOT_FOUND
        soon(lambda: produce(connection, "small", b"x") == 0)
        soon(reserve.exists, 60)  # looks more and more seldom
        assert node.alive()
    node.stop()


def test_a_stop_and_a_start_on_a_full_volume(node, volume):
    node.start(**volume.start)
    with node.connect() as connection:
        assert create(connection, "big") == 0
        taken = produce_until_refused(connection, "big")
    fill(volume)
    node.stop()
    for _ in range(2):
        node.start(**volume.start)
        with node.connect() as connection:
            assert len(ask.read_all(connection, "big")) == taken
        node.stop()
    (volume.seen / "filler").unlink()
    node.start(**volume.start)
    with node.connect() as connection:
        soon(lambda: produce(connection, "big", b"x") == 0)


def test_a_volume_that_fills_between_two_commits(node, volume):
    """Faster than the broker looks: an entry finds no space, and waits."""
    node.start(**volume.start)
    stop, codes = threading.Event(), []

    def run():
        with node.connect() as connection:
            while not stop.is_set():
                codes.append(commit(connection, "big"))

    with node.connect() as connection:
        assert create(connection, "big") == 0
    thread = threading.Thread(target=run)
    thread.start()
    try:
        soon(lambda: len(codes) > 100)
        fill(volume)
        soon(lambda: codes[-1] != 0)
        assert node.alive(), node.told()
        (volume.seen / "filler").unlink()
        soon(lambda: codes[-1] == 0)
    finally:
        stop.set()
        thread.join()
    assert set(codes) <= {0, *load.RETRIABLE}
    node.stop()


def answers(node):
    """Soon: one that still starts takes the connection, and waits."""
    try:
        with node.connect(timeout=0.5) as connection:
            return bool(connection.call("ApiVersions", 0))
    except (OSError, Closed):
        return False


def test_a_start_without_any_space_says_so_and_waits(node, volume):
    node.start(**volume.start)
    fill(volume)
    for _ in range(100):  # some starts fit into blocks that are there
        node.kill()
        node.spawn(**volume.start)
        soon(lambda: "has no space" in node.told() or answers(node)
             or not node.alive())
        assert node.alive(), node.told()
        if "has no space" in node.told():
            break
        fill(volume)
    line, = (line for line in node.told().splitlines()
             if "has no space" in line)
    assert f'"{node.data}/quorum" is on a volume with 0 KiB left' in line
    assert line.endswith("free some space"), line
    assert node.alive()
    (volume.seen / "filler").unlink()
    soon(lambda: answers(node))
    assert "entries are stored again" in node.told()
    node.stop()


def start_without_space_for(node, partition, times):
    """A start where one partition cannot be opened, for so many tries."""
    node.start()
    with node.connect() as connection:
        for topic in ("closed", "open"):
            assert create(connection, topic) == 0
            assert produce(connection, topic, b"x") == 0
    node.stop()
    (node.data / "log" / partition / "partition.metadata").unlink()
    node.start(FAULT_PATHS=f"/log/{partition}/partition.metadata",
               FAULT_HOW="enospc", FAULT_AT=1, FAULT_TIMES=times)


def test_a_partition_without_space_to_open_is_tried_again(node):
    start_without_space_for(node, "closed-0", times=2)
    with node.connect() as connection:
        assert produce(connection, "open", b"y") == 0
        assert produce(connection, "closed", b"y") == STORAGE_ERROR
        assert "it is not served, and is tried again" in node.told()
        soon(lambda: produce(connection, "closed", b"y") == 0)
        assert len(ask.read_all(connection, "closed")) == 2
    node.stop()


def test_a_partition_without_space_to_open_can_be_deleted(node):
    start_without_space_for(node, "closed-0", times=1000)
    with node.connect() as connection:
        assert produce(connection, "closed", b"y") == STORAGE_ERROR
        assert delete(connection, "closed") == 0
        assert not (node.data / "log/closed-0").exists()
    node.stop()
    node.start()
    assert [f.name for f in (node.data / "log").iterdir()] == ["open-0"]
