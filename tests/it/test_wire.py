"""Connections, frames and versions: what real clients do not send."""
import random
import struct
import time
import uuid

import pytest

import clients
import records
import wire
from calls import look_up, to_fetch, to_produce
from wire import APIS, Closed, Connection

# A request of each kind that says little and is answered at every version.
NOWHERE = "nowhere"
REQUESTS = {
    "ApiVersions": lambda v: {"ClientSoftwareName": "raw",
                              "ClientSoftwareVersion": "1"} if v >= 3 else {},
    "Metadata": lambda v: {"Topics": []},
    "CreateTopics": lambda v: {"timeoutMs": 1000, "Topics": []},
    "DeleteTopics": lambda v: {"TimeoutMs": 1000},
    "Produce": lambda v: {"Acks": -1, "TimeoutMs": 1000, "TopicData": []},
    "Fetch": lambda v: {"MaxWaitMs": 0, "MinBytes": 1, "Topics": [],
                        **({"ReplicaId": -1} if v < 15 else {})},
    "ListOffsets": lambda v: {"ReplicaId": -1, "Topics": []},
    "OffsetForLeaderEpoch": lambda v: {"Topics": []},
    "InitProducerId": lambda v: {"TransactionalId": None,
                                 "TransactionTimeoutMs": 1000},
    "FindCoordinator": lambda v: {"Key": NOWHERE} if v < 4 else {
        "CoordinatorKeys": [NOWHERE]},
    "JoinGroup": lambda v: {"GroupId": "", "SessionTimeoutMs": 6000,
                            "ProtocolType": "consumer",
                            "Protocols": [{"Name": "p", "Metadata": b""}]},
    "SyncGroup": lambda v: {"GroupId": NOWHERE, "GenerationId": 1,
                            "MemberId": "m"},
    "Heartbeat": lambda v: {"GroupId": NOWHERE, "GenerationId": 1,
                            "MemberId": "m"},
    "LeaveGroup": lambda v: {"GroupId": NOWHERE, "MemberId": "m"}
    if v < 3 else {"GroupId": NOWHERE, "Members": [{"MemberId": "m"}]},
    "OffsetCommit": lambda v: {"GroupId": NOWHERE, "Topics": []},
    "OffsetFetch": lambda v: {"GroupId": NOWHERE, "Topics": []} if v < 8 else {
        "Groups": [{"GroupId": NOWHERE, "Topics": []}]},
}


def advertised(raw):
    answer = raw.call("ApiVersions", 0)
    return {k["ApiKey"]: (k["MinVersion"], k["MaxVersion"])
            for k in answer["ApiKeys"]}


@pytest.mark.parametrize("name", REQUESTS)
def test_every_version_that_is_advertised_is_answered(name, raw):
    low, high = advertised(raw)[APIS[name].key]
    if name == "Produce":
        assert low == 0, "librdkafka wants it, and gets a closed connection"
        low = 3
    for version in range(low, high + 1):
        raw.call(name, version, **REQUESTS[name](version))


def kafka_column():
    """{key: (low, high)} of Kafka 4.3, without what it calls unstable."""
    column = {}
    for line in (clients.HERE / "kafka_4_3.txt").read_text().splitlines():
        if not line.startswith("#"):
            key, _, versions = line.split()
            low, _, high = versions.partition("-")
            high = high or low
            column[int(key)] = (int(low), int(high.removesuffix("u")) -
                                high.endswith("u"))
    return column


@pytest.mark.ours
def test_what_is_advertised_is_kafkas_column_of_what_is_served(raw):
    """All of Kafka's stable versions, of these requests and no others; but
    for Produce 0-2, which Kafka advertises and closes, too."""
    column = kafka_column()
    expected = {APIS[name].key: column[APIS[name].key] for name in REQUESTS}
    expected[0] = (0, expected[0][1])
    assert advertised(raw) == expected


def test_a_newer_api_versions_is_refused_in_version_0(raw):
    for version in 99, 32767:
        head = struct.pack(">hhih", 18, version, 7, 3) + b"raw\0\1"
        raw.socket.sendall(struct.pack(">i", len(head)) + head)
        correlation, data = raw.receive_frame()
        assert correlation == 7
        answer = wire.decode(APIS["ApiVersions"].trees["response"],
                             wire.Reader(data), 0, False)
        assert answer["ErrorCode"] == 35
        ranges = {k["ApiKey"]: k for k in answer["ApiKeys"]}
        assert ranges[18]["MaxVersion"] >= 3
    assert raw.call("ApiVersions", 0)["ErrorCode"] == 0


@pytest.mark.parametrize("key,version", [
    (9999, 0), (-1, 0), (3, 99), (3, -1), (0, 0), (0, 1), (0, 2), (1, 3),
    (4, 0), (6, 0)])
def test_what_is_not_served_closes_the_connection(key, version, raw):
    head = struct.pack(">hhih", key, version, 7, 3) + b"raw" + bytes(16)
    raw.socket.sendall(struct.pack(">i", len(head)) + head)
    assert raw.ended()


@pytest.mark.ours
def test_no_feature_of_transactions_groups_or_shares_is_finalized(raw):
    answer = raw.call("ApiVersions", 4, ClientSoftwareName="raw",
                      ClientSoftwareVersion="1")
    names = {f["Name"] for f in answer["FinalizedFeatures"]}
    assert not names & {"transaction.version", "group.version",
                        "share.version", "streams.version"}


@pytest.mark.parametrize("version", range(14))
def test_metadata_of_all_of_none_and_of_what_is_not_there(
        version, raw, topic, create):
    create(topic, 3)
    every = raw.call("Metadata", version, Topics=None if version else [])
    found = {t["Name"]: t for t in every["Topics"]}
    ours = found[topic]
    assert ours["ErrorCode"] == 0
    assert sorted(p["PartitionIndex"] for p in ours["Partitions"]) == [0, 1, 2]
    nodes = {b["NodeId"] for b in every["Brokers"]}
    for part in ours["Partitions"]:
        assert part["LeaderId"] in nodes
        assert part["ReplicaNodes"] == part["IsrNodes"] == [part["LeaderId"]]
    one = raw.call("Metadata", version, Topics=[{"Name": topic}])
    assert [t["Name"] for t in one["Topics"]] == [topic]
    if version >= 1:
        assert raw.call("Metadata", version, Topics=[])["Topics"] == []
        assert every["ControllerId"] in nodes
    if version >= 2:
        assert len(every["ClusterId"]) == 22
    if version >= 4:
        gone = raw.call("Metadata", version, Topics=[{"Name": topic + "-not"}],
                        AllowAutoTopicCreation=False)
        assert gone["Topics"][0]["ErrorCode"] == 3
        names = raw.call("Metadata", 9, Topics=None)["Topics"]
        assert topic + "-not" not in {t["Name"] for t in names}
    if version >= 12:
        by_id = raw.call("Metadata", version, Topics=[
            {"TopicId": ours["TopicId"], "Name": None}])
        assert by_id["Topics"][0]["Name"] == topic
        gone = raw.call("Metadata", version, Topics=[
            {"TopicId": uuid.uuid4(), "Name": None}])
        assert gone["Topics"][0]["ErrorCode"] == 100


@pytest.mark.ours
def test_metadata_answers_with_the_topic_that_it_creates(raw, topic):
    answer = raw.call("Metadata", 9, Topics=[{"Name": topic}])
    created = answer["Topics"][0]
    assert created["ErrorCode"] == 0 and len(created["Partitions"]) == 1
    assert created["Partitions"][0]["LeaderId"] >= 0


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "x" * 250, "a/b"])
def test_no_topic_is_created_by_a_name_that_is_none(name, raw):
    answer = raw.call("Metadata", 9, Topics=[{"Name": name}])
    assert answer["Topics"][0]["ErrorCode"] == 17


def test_a_request_that_comes_byte_by_byte_is_answered(raw):
    for byte in raw.frame("Metadata", 9, Topics=[]):
        raw.socket.sendall(bytes([byte]))
        time.sleep(0.001)
    assert raw.receive("Metadata", 9)["Topics"] == []


def test_requests_that_come_in_odd_pieces_are_all_answered(raw):
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    stream = b"".join(raw.frame("Metadata", 9, Topics=[])
                      for _ in range(50))
    while stream:
        n = chance.randrange(1, 60)
        raw.socket.sendall(stream[:n])
        stream = stream[n:]
    for correlation in range(1, 51):
        raw.receive("Metadata", 9, correlation)


def test_bytes_after_the_last_field_are_ignored(raw):
    """librdkafka 2.16 sends some when it asks for all topics."""
    for name, version in ("Metadata", 13), ("Metadata", 1), ("ListOffsets", 5):
        frame = raw.frame(name, version, **REQUESTS[name](version))
        raw.socket.sendall(struct.pack(">i", len(frame) - 4 + 3) +
                           frame[4:] + b"\1\0\0")
        raw.receive(name, version)


def test_half_a_request_and_the_end_disturb_nobody(bootstrap, raw):
    with Connection(bootstrap) as half:
        half.socket.sendall(half.frame("Metadata", 9, Topics=[])[:-3])
    assert raw.call("ApiVersions", 0)["ErrorCode"] == 0


@pytest.mark.parametrize("size", [-1, -(1 << 31), (1 << 31) - 1,
                                  100 * 1024 * 1024 + 1])
def test_a_frame_beyond_the_limit_closes_the_connection_at_once(
        size, bootstrap, raw):
    raw.socket.sendall(struct.pack(">i", size) + b"x" * 20)
    assert raw.ended()
    with Connection(bootstrap) as other:
        assert other.call("ApiVersions", 0)["ErrorCode"] == 0


@pytest.mark.parametrize("size", [0, 1, 4, 7])
def test_a_frame_too_short_for_a_header_closes_the_connection(size, raw):
    raw.socket.sendall(struct.pack(">i", size) + bytes(size))
    assert raw.ended()


def test_a_count_beyond_the_bytes_there_closes_the_connection(raw):
    head = struct.pack(">hhih", 3, 1, 7, 3) + b"raw"
    body = head + struct.pack(">i", 0x7FFFFFFF)
    raw.socket.sendall(struct.pack(">i", len(body)) + body)
    assert raw.ended()


def test_rubbish_closes_its_connection_and_no_other(bootstrap, raw):
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    for _ in range(100):
        with Connection(bootstrap) as bad:
            body = chance.randbytes(chance.randrange(8, 200))
            key = chance.choice([0, 1, 2, 3, 8, 9, 10, 11, 14, 18, 19, 22])
            head = struct.pack(">hh", key, chance.randrange(3, 9))
            try:
                bad.socket.sendall(
                    struct.pack(">i", len(body) + 4) + head + body)
                bad.socket.shutdown(1)
                while bad.socket.recv(4096):
                    pass
            except OSError:
                pass
    assert raw.call("ApiVersions", 0)["ErrorCode"] == 0, seed


def test_answers_keep_the_order_of_pipelined_requests(raw, topic, create):
    create(topic)
    sent = []
    for i in range(30):
        if i % 3 == 0:
            sent.append(("Produce", 9, raw.send(
                "Produce", 9, **to_produce(topic, records.batch([b"x"])))))
        elif i % 3 == 1:
            sent.append(("Metadata", 9, raw.send("Metadata", 9, Topics=[])))
        else:
            sent.append(("ListOffsets", 4, raw.send(
                "ListOffsets", 4, ReplicaId=-1, Topics=[
                    {"Name": topic, "Partitions": [
                        {"PartitionIndex": 0, "Timestamp": -1}]}])))
    ends = []
    for name, version, correlation in sent:
        answer = raw.receive(name, version, correlation)
        if name == "ListOffsets":
            ends.append(answer["Topics"][0]["Partitions"][0]["Offset"])
    assert ends == sorted(ends)
    assert look_up(raw, topic, -1)[0] == 10


def test_what_comes_after_a_fetch_that_waits_waits_too(raw, topic, create):
    create(topic)
    began = time.monotonic()
    fetch = raw.send("Fetch", 11, **to_fetch(topic, wait=700, low=1))
    after = raw.send("ApiVersions", 0)
    raw.receive("Fetch", 11, fetch)
    assert time.monotonic() - began >= 0.6
    raw.receive("ApiVersions", 0, after)


def test_a_closed_connection_is_told_apart_from_silence(bootstrap):
    with Connection(bootstrap) as one:
        one.socket.sendall(struct.pack(">ihhi", 8, 9999, 0, 1))
        with pytest.raises(Closed):
            one.receive_frame()
