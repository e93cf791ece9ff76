"""What each API says to a request that it cannot do, one row a reason. The
numbers are Apache Kafka's own answers; `run` tells how to ask it again."""
import time
import uuid

import pytest

from records import batch
from wire import APIS

NONE, UNKNOWN = 0, -1
NOBODY = uuid.UUID(int=77)
ZERO = uuid.UUID(int=0)
PROTOCOLS = [{"Name": "range", "Metadata": b""}]


def errors(answer):
    """All error codes of an answer, in order, except those of 0 that only
    frame others; [0] when there is nothing else."""
    def walk(value):
        if isinstance(value, dict):
            for name, part in value.items():
                if name == "ErrorCode":
                    yield part
                else:
                    yield from walk(part)
        elif isinstance(value, list):
            for part in value:
                yield from walk(part)
    found = list(walk(answer))
    return [e for e in found if e] or [0] * bool(found)


class Asker:
    """Asks, and compares the errors; `{t}` in texts is a topic that exists."""

    def __init__(self, raw, topic):
        self.raw, self.topic = raw, topic
        self.id = raw.call("Metadata", 12, Topics=[
            {"Name": topic}])["Topics"][0]["TopicId"]

    def fill(self, value):
        if isinstance(value, str):
            return value.replace("{t}", self.topic)
        if isinstance(value, list):
            return [self.fill(v) for v in value]
        if isinstance(value, dict):
            return {n: self.fill(v) for n, v in value.items()}
        return self.id if value is Asker else value

    def answer(self, api, version, **values):
        """What is not in this version of the request is left out."""
        known = {f.name for f in APIS[api].trees["request"]
                 if version in f.versions}
        return self.raw.call(api, version, **{
            n: self.fill(v) for n, v in values.items() if n in known})

    def __call__(self, api, version, **values):
        return errors(self.answer(api, version, **values))


@pytest.fixture
def ask(raw, topic, create):
    create(topic, 2)
    return Asker(raw, topic)


def check(ask, api, rows):
    """rows: (errors, version, values). All are asked, and told together."""
    wrong = []
    for expected, version, values in rows:
        got = ask(api, version, **values)
        if got != [expected] and got != expected:
            wrong.append(f"v{version} {values}: {got}, not {expected}")
    assert not wrong, "\n".join(wrong)


def test_api_versions(ask):
    check(ask, "ApiVersions", [
        (error, 3, {"ClientSoftwareName": name,
                    "ClientSoftwareVersion": version})
        for error, name, version in (
            (42, "", ""), (42, "a b", "1"), (42, "-x", "1"), (42, "ok", ""),
            (NONE, "ok", "1.0"))])


def test_metadata(ask):
    def named(error, version, name, topic_id=ZERO):
        return error, version, {
            "Topics": [{"Name": name, "TopicId": topic_id}],
            "AllowAutoTopicCreation": False}
    check(ask, "Metadata", [
        *(named(17, 9, name)
          for name in ("a/b", "", ".", "..", "x" * 250, "a b", "\u00e9")),
        named(3, 9, "not-there"),
        named(3, 9, "__cluster_metadata"),
        # Ids are known from version 12 on; then they say which topic it is.
        named(42, 10, None), named(42, 11, None),
        named(42, 10, "{t}", Asker), named(42, 11, "{t}", NOBODY),
        named(NONE, 12, None, Asker), named(NONE, 12, "other", Asker),
        named(100, 12, None, NOBODY), named(100, 12, "{t}", NOBODY),
        named(UNKNOWN, 12, None),
    ])


def test_create_topics(ask):
    def topic(error, name="{t}-new", partitions=1, replicas=1, assigned=(),
              config=None):
        return error, 7, {"validateOnly": True, "timeoutMs": 9000, "Topics": [
            {"Name": name, "NumPartitions": partitions,
             "ReplicationFactor": replicas, "Assignments": [
                 {"PartitionIndex": i, "BrokerIds": b} for i, b in assigned],
             "Configs": [{"Name": config[0], "Value": config[1]}]
             if config else []}]}
    check(ask, "CreateTopics", [
        *(topic(17, name) for name in ("a/b", "", ".", "..", "x" * 250)),
        topic(36, "{t}"),
        topic(37, partitions=0), topic(37, partitions=-2),
        topic(38, replicas=0), topic(38, replicas=-2),
        topic(38, replicas=32767),
        topic(42, partitions=2, assigned=[(0, [1])]),
        topic(42, partitions=2, replicas=-1, assigned=[(0, [1])]),
        *(topic(39, partitions=-1, replicas=-1, assigned=assigned)
          for assigned in ([(1, [1])], [(0, [1]), (0, [1])], [(0, [99])],
                           [(0, [99, 99])], [(0, [])], [(0, [-1])])),
        *(topic(40, config=config) for config in (
            ("no.such", "1"), ("", "1"), ("retention.ms", "x"),
            ("retention.ms", ""), ("retention.ms", "-2"),
            ("retention.ms", None), ("cleanup.policy", "no"),
            ("segment.bytes", "1"), ("min.insync.replicas", "0"),
            ("compression.type", "no"), ("max.message.bytes", "-1"),
            ("message.timestamp.type", "no"),
            ("unclean.leader.election.enable", "maybe"))),
    ])
    for name in "{t}-a.b", "{t}-a_b":  # one name for a metric
        row = topic(NONE if "." in name else 17, name)
        row[2]["validateOnly"] = False
        check(ask, "CreateTopics", [row])
    twice = {"Name": "{t}-2", "NumPartitions": 1, "ReplicationFactor": 1}
    check(ask, "CreateTopics", [
        (42, 7, {"Topics": [twice, twice], "timeoutMs": 9000})])


@pytest.mark.ours
@pytest.mark.parametrize("name", [
    "__consumer_offsets", "__transaction_state", "__share_group_state",
    "__cluster_metadata", "__lanes.x"])
def test_names_of_kafkas_own_topics_are_nobodys(name, ask):
    assert ask("CreateTopics", 7, timeoutMs=9000, Topics=[
        {"Name": name, "NumPartitions": 1, "ReplicationFactor": 1}]) == [17]
    assert ask("Metadata", 9, Topics=[{"Name": name}]) == [17]
    assert ask("Produce", 9, Acks=-1, TimeoutMs=9000, TopicData=[
        {"Name": name, "PartitionData": [
            {"Index": 0, "Records": batch([b"x"])}]}]) == [17]


def test_delete_topics(ask):
    def named(*topics):
        return {"TimeoutMs": 9000, "Topics": [
            {"Name": name, "TopicId": topic_id} for name, topic_id in topics]}
    name, by_id = ("{t}", ZERO), (None, Asker)
    check(ask, "DeleteTopics", [
        (3, 6, named(("{t}-not", ZERO))),
        (100, 6, named((None, NOBODY))),
        (3, 6, named(("", ZERO))), (3, 6, named(("a/b", ZERO))),
        (42, 6, named(("{t}", Asker))),
        (42, 6, named((None, ZERO))),
        ([42, 42], 6, named((None, ZERO), (None, ZERO))),
        # A topic that is named twice, in whatever way, is not deleted.
        (42, 6, named(name, name)), (42, 6, named(by_id, by_id)),
        (42, 6, named(name, by_id)), (42, 6, named(by_id, name)),
        (42, 6, named(("{t}-not", ZERO), ("{t}-not", ZERO))),
        (42, 6, named((None, NOBODY), (None, NOBODY))),
        (42, 1, {"TimeoutMs": 9000, "TopicNames": ["{t}", "{t}"]}),
        (NONE, 6, named(by_id)),
        (3, 6, named(name)), (100, 6, named(by_id)),
    ])


def test_produce(ask):
    data = batch([b"x"])

    def sent(error, topic, partition=0, acks=-1, records=data, version=9):
        by = "TopicId" if version >= 13 else "Name"
        return error, version, {
            "Acks": acks, "TimeoutMs": 9000, "TopicData": [
                {by: topic, "PartitionData": [
                    {"Index": partition, "Records": records}]}]}
    check(ask, "Produce", [
        sent(NONE, "{t}"), sent(NONE, Asker, version=13),
        sent(3, "{t}", 2), sent(3, "{t}", -1), sent(3, Asker, 5, version=13),
        sent(3, "not-there"), sent(3, ""), sent(3, "a/b"),
        sent(100, NOBODY, version=13), sent(100, ZERO, version=13),
        sent(21, "{t}", acks=2), sent(21, "{t}", acks=-2),
        sent(87, "{t}", records=b""), sent(87, "{t}", records=data + data),
        sent(2, "{t}", records=batch([b"x"], crc=1)),
    ])


def test_fetch(ask):
    def read(error, topic="{t}", partition=0, offset=0, epoch=-1, last=-1,
             version=12, session=(0, -1)):
        by = "TopicId" if version >= 13 else "Topic"
        return error, version, {
            "ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 0,
            "SessionId": session[0], "SessionEpoch": session[1], "Topics": [
                {by: topic, "Partitions": [
                    {"Partition": partition, "FetchOffset": offset,
                     "PartitionMaxBytes": 1000, "CurrentLeaderEpoch": epoch,
                     "LastFetchedEpoch": last}]}]}
    check(ask, "Fetch", [
        read(NONE), read(NONE, epoch=0), read(NONE, Asker, version=13),
        read(3, "not-there"), read(3, ""), read(3, "a/b"),
        read(3, partition=2), read(3, partition=-1),
        read(3, Asker, 7, version=13),
        read(100, NOBODY, version=13), read(100, ZERO, version=13),
        read(1, offset=1), read(1, offset=-1), read(1, offset=1, version=4),
        read(75, epoch=1), read(75, epoch=9), read(NONE, epoch=-2),
        read(70, session=(12345, 1)), read(70, session=(0, 1)),
    ])


def test_a_fetch_session_speaks_of_names_or_of_ids(ask):
    def read(version, session, epoch, **topic):
        return ask.answer(
            "Fetch", version, ReplicaId=-1, MaxWaitMs=0, MinBytes=0,
            SessionId=session, SessionEpoch=epoch, Topics=[
                {**topic, "Partitions": [
                    {"Partition": 0, "FetchOffset": 0,
                     "PartitionMaxBytes": 1000}]}])
    first = read(12, 0, 0, Topic="{t}")
    assert first["ErrorCode"] == 0 and first["SessionId"]
    assert read(13, first["SessionId"], 1, TopicId=Asker)["ErrorCode"] == 106
    first = read(13, 0, 0, TopicId=Asker)
    assert read(12, first["SessionId"], 1, Topic="{t}")["ErrorCode"] == 106


def test_list_offsets(ask):
    def listed(error, version=7, topic="{t}", partition=0, at=-1, epoch=-1,
               times=1):
        return error, version, {
            "ReplicaId": -1, "IsolationLevel": 0, "Topics": [
                {"Name": topic, "Partitions": [
                    {"PartitionIndex": partition, "CurrentLeaderEpoch": epoch,
                     "Timestamp": at}] * times}]}
    check(ask, "ListOffsets", [
        listed(NONE), listed(NONE, epoch=0),
        # Names of offsets that this version of the request has not yet.
        *(listed(35, version, at=at) for version, at in (
            (7, -4), (8, -5), (2, -3), (9, -6), (10, -7), (10, -100))),
        listed(3, topic="not-there"), listed(3, topic=""),
        listed(3, partition=2), listed(3, partition=-1),
        listed(75, epoch=1), listed(74, epoch=-2), listed(42, times=2),
    ])


def test_offset_for_leader_epoch(ask):
    def end(error, topic="{t}", partition=0, current=-1, epoch=0):
        return error, 4, {"ReplicaId": -1, "Topics": [
            {"Topic": topic, "Partitions": [
                {"Partition": partition, "CurrentLeaderEpoch": current,
                 "LeaderEpoch": epoch}]}]}
    check(ask, "OffsetForLeaderEpoch", [
        end(NONE), end(NONE, current=0), end(NONE, epoch=-1),
        end(NONE, epoch=100),
        end(3, "not-there"), end(3, ""), end(3, partition=2),
        end(75, current=1), end(74, current=-2),
    ])


def test_init_producer_id(ask):
    def asked(error, transactional=None, timeout=60000, producer=-1,
              epoch=-1):
        return error, 4, {
            "TransactionalId": transactional, "TransactionTimeoutMs": timeout,
            "ProducerId": producer, "ProducerEpoch": epoch}
    check(ask, "InitProducerId", [
        asked(NONE), asked(NONE, timeout=0), asked(NONE, timeout=-1),
        asked(NONE, producer=5, epoch=5),
        asked(42, ""), asked(42, producer=5), asked(42, epoch=5),
    ])


def test_find_coordinator(ask):
    ready(ask)
    check(ask, "FindCoordinator", [
        (error, 3, {"Key": "g", "KeyType": kind})
        for error, kind in ((NONE, 0), (42, 2), (42, 3), (42, -1))] + [
        (NONE, 4, {"CoordinatorKeys": ["g", "g"], "KeyType": 0}),
        (42, 4, {"CoordinatorKeys": ["g"], "KeyType": 2}),
        (42, 6, {"CoordinatorKeys": ["bad"], "KeyType": 2}),
        (42, 4, {"CoordinatorKeys": ["g"], "KeyType": 9}),
    ])


def ready(ask):
    """Apache Kafka makes its topics for groups when they are first asked
    for."""
    until = time.monotonic() + 20
    while ask("FindCoordinator", 3, Key="g", KeyType=0) != [0] or ask(
            "Heartbeat", 3, GroupId="g", GenerationId=1, MemberId="m") != [25]:
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.fixture
def member(ask):
    """A static member, "i", of the group "{t}": (its id, its generation). It
    has not synced yet."""
    ready(ask)
    joined = ask.answer("JoinGroup", 5, **joining("{t}", "", "i"))
    assert joined["ErrorCode"] == 0, joined
    return joined["MemberId"], joined["GenerationId"]


def joining(group, member="", instance=None, **values):
    return {"GroupId": group, "MemberId": member, "GroupInstanceId": instance,
            "SessionTimeoutMs": 300000, "RebalanceTimeoutMs": 10000,
            "ProtocolType": "consumer", "Protocols": PROTOCOLS, **values}


def test_join_group(ask, member):
    def join(error, *args, version=5, **values):
        return error, version, joining(*args, **values)
    check(ask, "JoinGroup", [
        join(24, ""), join(26, "{t}", SessionTimeoutMs=1),
        join(26, "{t}", SessionTimeoutMs=10**9),
        join(25, "{t}-not", "m"), join(25, "{t}", "m"),
        join(79, "{t}-new", version=4),
        join(23, "{t}-new", ProtocolType=""), join(23, "{t}-new", Protocols=[]),
        join(23, "{t}", ProtocolType="other"),
        join(23, "{t}", Protocols=[{"Name": "other", "Metadata": b""}]),
        join(82, "{t}", "m", "i"), join(25, "{t}", member[0], "other"),
    ])


def test_sync_group(ask, member):
    def sync(error, group, name, generation=member[1], instance=None,
             version=3, kind=None, protocol=None):
        return error, version, {
            "GroupId": group, "MemberId": name, "GenerationId": generation,
            "GroupInstanceId": instance, "ProtocolType": kind,
            "ProtocolName": protocol}
    me = member[0]
    check(ask, "SyncGroup", [
        sync(24, "", "m"), sync(25, "{t}-not", "m"), sync(25, "{t}", "m"),
        sync(22, "{t}", me, 7), sync(82, "{t}", "m", instance="i"),
        sync(25, "{t}", me, instance="other"),
        sync(23, "{t}", me, version=5, kind="other", protocol="range"),
        sync(23, "{t}", me, version=5, kind="consumer", protocol="other"),
        # From version 5 on both must be said.
        sync(23, "{t}", me, version=5),
        sync(23, "{t}", me, version=5, kind="consumer"),
        sync(NONE, "{t}", me, version=5, kind="consumer", protocol="range"),
    ])


def test_heartbeat(ask, member):
    def beat(error, group, name, generation=member[1], instance=None):
        return error, 3, {"GroupId": group, "MemberId": name,
                          "GenerationId": generation,
                          "GroupInstanceId": instance}
    me = member[0]
    check(ask, "Heartbeat", [
        beat(24, "", "m"), beat(25, "{t}-not", "m"), beat(25, "{t}", "m"),
        beat(22, "{t}", me, 99), beat(82, "{t}", "m", instance="i"),
        beat(25, "{t}", me, instance="other"), beat(NONE, "{t}", me),
    ])


def test_leave_group(ask, member):
    def leave(error, group, *members):
        return error, 3, {"GroupId": group, "Members": [
            {"MemberId": name, "GroupInstanceId": instance}
            for name, instance in members]}
    check(ask, "LeaveGroup", [
        *((error, 1, {"GroupId": group, "MemberId": "m"})
          for error, group in ((24, ""), (25, "{t}-not"), (25, "{t}"))),
        leave(24, "", ("m", None)), leave(25, "{t}-not", ("m", None)),
        leave(NONE, "{t}"), leave(NONE, "{t}-not"),
        leave([25, 82, 25, 25], "{t}", ("m", None), ("m", "i"),
              ("", "other"), ("m", "other")),
        leave(25, "{t}", ("", "i"), ("", "i")),  # and one that is gone
        (25, 1, {"GroupId": "{t}", "MemberId": member[0]}),
    ])


def test_offset_commit(ask, member):
    def commit(error, group, name="", generation=-1, instance=None,
               topic="{t}", partition=0, metadata="", version=8):
        by = "TopicId" if version >= 10 else "Name"
        return error, version, {
            "GroupId": group, "MemberId": name, "GroupInstanceId": instance,
            "GenerationIdOrMemberEpoch": generation, "Topics": [
                {by: topic, "Partitions": [
                    {"PartitionIndex": partition, "CommittedOffset": 1,
                     "CommittedMetadata": metadata}]}]}
    me = "{t}", *member, "i"
    check(ask, "OffsetCommit", [commit(27, *me)])  # nothing is assigned yet
    assert ask("SyncGroup", 3, GroupId="{t}", MemberId=member[0],
               GenerationId=member[1]) == [0]
    check(ask, "OffsetCommit", [
        commit(25, "{t}"), commit(25, "{t}", "m", 1),
        commit(22, "{t}", member[0], 99),
        commit(82, "{t}", "m", member[1], "i"),
        commit(25, *me[:3], "other"), commit(NONE, *me),
        commit(3, *me, partition=9), commit(3, *me, topic="not-there"),
        commit(3, *me, topic=""),
        commit(NONE, *me, metadata="x" * 4096),
        commit(12, *me, metadata="x" * 4097),
        # A group that is not there.
        commit(22, "{t}-1", "m", 1), commit(69, "{t}-1", "m", 1, version=9),
        commit(NONE, "{t}-1"), commit(NONE, "", version=9),
        commit(25, "{t}-1", "m", 5), commit(25, "{t}-1", "", 5),
        # By topic id.
        commit(NONE, "{t}-1", topic=Asker, version=10),
        commit(100, "{t}-1", topic=NOBODY, version=10),
        commit(100, "{t}-1", topic=ZERO, version=10),
        commit(3, "{t}-1", topic=Asker, partition=9, version=10),
    ])


def test_offset_fetch(ask):
    def fetch(error, group, topic="{t}", partition=0):
        return error, 5, {"GroupId": group, "Topics": topic and [
            {"Name": topic, "PartitionIndexes": [partition]}]}

    def by_id(error, topic_id):
        return error, 10, {"Groups": [{"GroupId": "{t}", "Topics": [
            {"TopicId": topic_id, "PartitionIndexes": [0]}]}]}
    ready(ask)
    check(ask, "OffsetFetch", [
        fetch(NONE, "{t}-not"), fetch(NONE, "{t}-not", None),
        fetch(NONE, ""), fetch(NONE, "{t}", "not-there"),
        fetch(NONE, "{t}", partition=9),
        by_id(NONE, Asker), by_id(100, NOBODY), by_id(100, ZERO),
    ])
