"""Fetch, its sessions, ListOffsets and epochs on the wire."""
import functools
import struct
import threading
import time
import uuid

import crc32c
import pytest

import records
from calls import append, fetch, look_up, offsets, topic_id
from records import batch
from wire import Connection

OUT_OF_RANGE, UNKNOWN_TOPIC, NO_SESSION, SESSION_EPOCH = 1, 3, 70, 71
UNKNOWN_EPOCH, UNKNOWN_TOPIC_ID = 75, 100
# Of today: what is too old goes.
TIME = int(time.time()) * 1000 - 3_600_000


@pytest.fixture
def produce(raw):
    return functools.partial(append, raw)


@pytest.mark.parametrize("version", range(4, 13))
def test_every_version_reads(version, raw, topic, create, produce):
    create(topic)
    produce(topic, batch([b"a", b"b"]), batch([b"c"], gzipped=True))
    part = fetch(raw, topic, version=version)
    assert part["ErrorCode"] == 0 and offsets(part) == [0, 1, 2]
    assert part["HighWatermark"] == part["LastStableOffset"] == 3


@pytest.mark.parametrize("version", range(13, 18))
def test_by_topic_id(version, raw, topic, create, produce):
    create(topic)
    produce(topic, batch([b"a", b"b"]))
    for given, error in ((topic_id(raw, topic), 0),
                         (uuid.uuid4(), UNKNOWN_TOPIC_ID)):
        answer = raw.call("Fetch", version, MaxWaitMs=0, MinBytes=0, Topics=[{
            "TopicId": given, "Partitions": [
                {"Partition": 0, "PartitionMaxBytes": 1000}]}])
        part = answer["Responses"][0]["Partitions"][0]
        assert answer["Responses"][0]["TopicId"] == given
        assert part["ErrorCode"] == error
        assert offsets(part) == ([] if error else [0, 1])


def test_an_offset_inside_a_batch_returns_that_batch(raw, topic, create,
                                                     produce):
    create(topic)
    produce(topic, batch([b"a"] * 10), batch([b"b"] * 10))
    assert offsets(fetch(raw, topic, 7)) == list(range(20))
    assert offsets(fetch(raw, topic, 10)) == list(range(10, 20))
    assert offsets(fetch(raw, topic, 20)) == []


@pytest.mark.parametrize("version", (4, 11, 12))
def test_outside_of_the_log(version, raw, topic, create, produce):
    create(topic)
    produce(topic, batch([b"a"]))
    for offset in 2, 1 << 60, -5:
        assert fetch(raw, topic, offset, version)["ErrorCode"] == OUT_OF_RANGE
    assert fetch(raw, topic, 0, version, partition=9)["ErrorCode"] == (
        UNKNOWN_TOPIC)
    assert fetch(raw, topic + "-not", 0, version)["ErrorCode"] == UNKNOWN_TOPIC


def test_the_first_batch_is_whole_whatever_the_limits(raw, topic, create,
                                                      produce):
    create(topic)
    produce(topic, *(batch([b"x" * 5000]) for _ in range(4)))
    assert offsets(fetch(raw, topic, part_high=1)) == [0]
    assert offsets(fetch(raw, topic, high=1)) == [0]
    assert offsets(fetch(raw, topic, 2, part_high=5000)) == [2]
    assert offsets(fetch(raw, topic, part_high=11000)) == [0, 1]


def test_it_waits_for_min_bytes_but_not_beyond_max_wait(
        bootstrap, raw, topic, create, produce):
    create(topic)
    began = time.monotonic()
    assert offsets(fetch(raw, topic, wait=400, low=1)) == []
    assert 0.35 <= time.monotonic() - began

    def later():
        with Connection(bootstrap) as other:
            time.sleep(0.3)
            append(other, topic, batch([b"x"]))

    thread = threading.Thread(target=later)
    thread.start()
    began = time.monotonic()
    assert offsets(fetch(raw, topic, wait=60_000, low=1)) == [0]
    assert 0.2 <= time.monotonic() - began < 50
    thread.join()


def test_epochs_ahead_of_the_leader_or_behind(raw, topic, create, produce):
    create(topic)
    produce(topic, batch([b"x"]))
    epoch = raw.call("Metadata", 9, Topics=[{"Name": topic}])[
        "Topics"][0]["Partitions"][0]["LeaderEpoch"]
    assert fetch(raw, topic, epoch=epoch)["ErrorCode"] == 0
    assert fetch(raw, topic, epoch=epoch + 1)["ErrorCode"] == UNKNOWN_EPOCH
    for version in range(2, 5):
        answer = raw.call(
            "OffsetForLeaderEpoch", version, Topics=[{
                "Topic": topic, "Partitions": [
                    {"Partition": 0, "LeaderEpoch": epoch}]}])
        part = answer["Topics"][0]["Partitions"][0]
        assert part["ErrorCode"] == 0
        assert (part["LeaderEpoch"], part["EndOffset"]) == (epoch, 1)


class Session:
    def __init__(self, raw):
        self.raw, self.id, self.epoch = raw, 0, 0

    def fetch(self, topic, partitions=(), forget=(), offset=0, wait=0):
        answer = self.raw.call(
            "Fetch", 11, ReplicaId=-1, MaxWaitMs=wait, MinBytes=0,
            SessionId=self.id, SessionEpoch=self.epoch,
            Topics=[{"Topic": topic, "Partitions": [
                {"Partition": p, "FetchOffset": offset,
                 "PartitionMaxBytes": 1 << 20} for p in partitions]}]
            if partitions else [],
            ForgottenTopicsData=[{"Topic": topic, "Partitions": list(forget)}]
            if forget else [])
        self.id = self.id or answer["SessionId"]
        self.epoch += 1
        return answer

    @staticmethod
    def partitions(answer):
        return {p["PartitionIndex"]: offsets(p)
                for t in answer["Responses"] for p in t["Partitions"]}


def test_a_session_of_1000_idle_partitions_answers_in_under_100_bytes(
        raw, topic, create, produce):
    create(topic, 1000)
    session = Session(raw)
    first = session.fetch(topic, range(1000))
    assert len(session.partitions(first)) == 1000 and session.id != 0
    for _ in range(3):
        answer = session.fetch(topic)
        assert answer["ErrorCode"] == 0 and session.partitions(answer) == {}
        assert raw.size < 100
    produce(topic, batch([b"x"]), partition=500)
    answer = session.fetch(topic)
    assert session.partitions(answer) == {500: [0]}


def test_a_session_forgets_and_learns_partitions(raw, topic, create, produce):
    create(topic, 4)
    session = Session(raw)
    session.fetch(topic, [0, 1])
    for p in range(4):
        produce(topic, batch([b"x"]), partition=p)
    assert session.partitions(session.fetch(topic, [2], forget=[0])) == {
        1: [0], 2: [0]}
    assert session.partitions(session.fetch(topic, [1, 2], offset=1)) == {}


def test_sessions_that_are_not_there_or_not_in_step(raw, topic, create):
    create(topic)
    session = Session(raw)
    session.fetch(topic, [0])
    session.epoch += 1
    assert session.fetch(topic)["ErrorCode"] == SESSION_EPOCH
    lost = Session(raw)
    lost.id, lost.epoch = 0x7FFFFFF0, 1
    assert lost.fetch(topic)["ErrorCode"] == NO_SESSION
    session.epoch = -1
    assert session.fetch(topic, [0])["ErrorCode"] == 0
    session.epoch = 1
    assert session.fetch(topic)["ErrorCode"] == NO_SESSION


@pytest.mark.parametrize("version", range(1, 12))
def test_offsets_by_time_and_by_name(version, raw, topic, create, produce):
    create(topic)
    empty = look_up(raw, topic, -1, version)
    assert empty == (0, -1) == look_up(raw, topic, -2, version)
    assert look_up(raw, topic, TIME, version) == (-1, -1)
    # The newest time is not in the newest batch.
    produce(topic, *(batch([b"x"], timestamp=TIME + t)
                     for t in (0, 1000, 5000, 2000)))
    assert look_up(raw, topic, -2, version) == (0, -1)
    assert look_up(raw, topic, -1, version) == (4, -1)
    assert look_up(raw, topic, 0, version) == (0, TIME)
    assert look_up(raw, topic, TIME + 1, version) == (1, TIME + 1000)
    assert look_up(raw, topic, TIME + 1500, version) == (2, TIME + 5000)
    assert look_up(raw, topic, TIME + 5001, version) == (-1, -1)
    if version >= 7:
        assert look_up(raw, topic, -3, version) == (2, TIME + 5000)
    if version >= 8:
        assert look_up(raw, topic, -4, version) == (0, -1)
    if version >= 9:
        assert look_up(raw, topic, -5, version) == (-1, -1)
    if version >= 11:
        assert look_up(raw, topic, -6, version) == (-1, -1)


def test_a_time_inside_a_batch(raw, topic, create, produce):
    """The record is found, not its batch's first."""
    create(topic)
    spread = b"".join(records.record(i, None, b"x", timestamp_delta=100 * i)
                      for i in range(10))
    one = bytearray(batch([b"x"] * 10, timestamp=TIME))
    head = one[:records.HEAD_SIZE]
    head[35:43] = (TIME + 900).to_bytes(8, "big")
    data = bytes(head) + spread
    data = (data[:8] + struct.pack(">i", len(data) - 12) + data[12:17] +
            struct.pack(">I", crc32c.crc32c(data[21:])) + data[21:])
    produce(topic, data)
    assert look_up(raw, topic, TIME + 250, 7) == (3, TIME + 300)
    assert look_up(raw, topic, -3, 7) == (9, TIME + 900)
