"""Groups on the wire: what members are refused; offsets without members."""
import threading

import pytest

import calls
from wire import Connection

ILLEGAL_GENERATION, INCONSISTENT, UNKNOWN_MEMBER, SESSION = 22, 23, 25, 26
REBALANCE, UNKNOWN_TOPIC, MEMBER_ID_REQUIRED, FENCED = 27, 3, 79, 82
PROTOCOLS = [{"Name": "range", "Metadata": b"hello"}]


def to_join(group, member="", **values):
    """The fields of a JoinGroup request."""
    return {"GroupId": group, "SessionTimeoutMs": 10000,
            "RebalanceTimeoutMs": 10000, "MemberId": member,
            "ProtocolType": "consumer", "Protocols": PROTOCOLS, **values}


def join(connection, group, version=7, member="", **values):
    return connection.call("JoinGroup", version,
                           **to_join(group, member, **values))


def sync(connection, group, joined, assignments=(), version=5):
    return connection.call(
        "SyncGroup", version, GroupId=group,
        GenerationId=joined["GenerationId"], MemberId=joined["MemberId"],
        ProtocolType="consumer", ProtocolName="range",
        Assignments=[{"MemberId": m, "Assignment": a}
                     for m, a in assignments])


def beat(connection, group, joined, **values):
    return connection.call("Heartbeat", 4, **{
        "GroupId": group, "GenerationId": joined["GenerationId"],
        "MemberId": joined["MemberId"], **values})["ErrorCode"]


def enter(connection, group, **values):
    """Joins as a new member, in the two steps that it takes."""
    asked = join(connection, group, **values)
    assert asked["ErrorCode"] == MEMBER_ID_REQUIRED and asked["MemberId"]
    joined = join(connection, group, member=asked["MemberId"], **values)
    assert joined["ErrorCode"] == 0, joined
    return joined


def test_alone_in_a_group(raw, topic):
    joined = enter(raw, topic)
    assert joined["Leader"] == joined["MemberId"]
    assert joined["ProtocolName"] == "range" and joined["GenerationId"] == 1
    assert [(m["MemberId"], m["Metadata"]) for m in joined["Members"]] == [
        (joined["MemberId"], b"hello")]
    synced = sync(raw, topic, joined, [(joined["MemberId"], b"all")])
    assert (synced["ErrorCode"], synced["Assignment"]) == (0, b"all")
    assert beat(raw, topic, joined) == 0
    assert beat(raw, topic, joined, GenerationId=7) == ILLEGAL_GENERATION
    assert beat(raw, topic, joined, MemberId="other") == UNKNOWN_MEMBER
    assert beat(raw, topic + "-not", joined) == UNKNOWN_MEMBER
    assert join(raw, topic, member="other")["ErrorCode"] == UNKNOWN_MEMBER
    left = raw.call("LeaveGroup", 4, GroupId=topic, Members=[
        {"MemberId": joined["MemberId"]}, {"MemberId": "other"}])
    assert [m["ErrorCode"] for m in left["Members"]] == [0, UNKNOWN_MEMBER]
    assert beat(raw, topic, joined) == UNKNOWN_MEMBER


def test_old_versions_join_in_one_step(raw, topic):
    for version in range(4):
        joined = join(raw, f"{topic}-{version}", version,
                      **({} if version else {"RebalanceTimeoutMs": -1}))
        assert joined["ErrorCode"] == 0 and joined["Members"]


def test_session_time_outs_have_bounds(raw, topic):
    for session in 100, 10_000_000:
        assert join(raw, topic, SessionTimeoutMs=session)["ErrorCode"] == (
            SESSION)


def test_protocols_must_agree(bootstrap, raw, topic):
    enter(raw, topic)
    with Connection(bootstrap) as other:
        for values in ({"ProtocolType": "connect"},
                       {"Protocols": [{"Name": "else", "Metadata": b""}]},
                       {"Protocols": []}):
            assert join(other, topic, **values)["ErrorCode"] == INCONSISTENT


def test_a_second_member_makes_the_first_join_again(bootstrap, raw, topic):
    first = enter(raw, topic)
    sync(raw, topic, first, [(first["MemberId"], b"all")])
    with Connection(bootstrap) as other:
        got = []
        thread = threading.Thread(
            target=lambda: got.append(enter(other, topic)))
        thread.start()
        while (code := beat(raw, topic, first)) == 0:
            pass
        assert code == REBALANCE
        again = join(raw, topic, member=first["MemberId"])
        thread.join()
        second, = got
        assert again["GenerationId"] == second["GenerationId"] == 2
        assert again["Leader"] == second["Leader"] == first["MemberId"]
        assert len(again["Members"]) == 2 and second["Members"] == []

        # The second waits until the leader has spoken.
        thread = threading.Thread(
            target=lambda: got.append(sync(other, topic, second)))
        thread.start()
        mine = sync(raw, topic, again, [(first["MemberId"], b"one"),
                                        (second["MemberId"], b"two")])
        thread.join()
        assert (mine["Assignment"], got[1]["Assignment"]) == (b"one", b"two")
        assert beat(raw, topic, first) == ILLEGAL_GENERATION


def test_a_rebalance_waits_for_a_member_that_was_given_an_id(
        bootstrap, raw, topic):
    """A pending member: it has its id, and has not come back with it yet."""
    first = enter(raw, topic)
    sync(raw, topic, first, [(first["MemberId"], b"all")])
    with Connection(bootstrap) as other, Connection(bootstrap) as third:
        pending = join(other, topic)
        assert pending["ErrorCode"] == MEMBER_ID_REQUIRED
        got = []
        thread = threading.Thread(
            target=lambda: got.append(enter(third, topic)))
        thread.start()
        while beat(raw, topic, first) == 0:
            pass
        raw.send("JoinGroup", 7, **to_join(topic, first["MemberId"]))
        raw.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            raw.receive("JoinGroup", 7)
        second = join(other, topic, member=pending["MemberId"])
        raw.socket.settimeout(20)
        again = raw.receive("JoinGroup", 7)
        thread.join()
        assert {m["MemberId"] for m in again["Members"]} == {
            j["MemberId"] for j in (first, second, *got)}


def test_a_static_member_is_replaced_and_the_old_one_fenced(
        bootstrap, raw, topic):
    static = {"GroupInstanceId": "a"}
    first = join(raw, topic, **static)
    assert first["ErrorCode"] == 0
    sync(raw, topic, first, [(first["MemberId"], b"all")])
    with Connection(bootstrap) as other:
        second = join(other, topic, **static)
        assert second["ErrorCode"] == 0
        assert second["MemberId"] != first["MemberId"]
        assert second["GenerationId"] == first["GenerationId"]
        assert beat(raw, topic, first, **static) == FENCED
        assert beat(other, topic, second, **static) == 0


@pytest.mark.parametrize("version", range(2, 10))
def test_offsets_of_a_group_without_members(version, raw, topic, create):
    create(topic, 2)
    answer = raw.call("OffsetCommit", version, GroupId=topic, Topics=[{
        "Name": topic, "Partitions": [
            {"PartitionIndex": 0, "CommittedOffset": 42,
             "CommittedMetadata": "m"},
            {"PartitionIndex": 9, "CommittedOffset": 1}]}])
    codes = {p["PartitionIndex"]: p["ErrorCode"]
             for p in answer["Topics"][0]["Partitions"]}
    assert codes == {0: 0, 9: UNKNOWN_TOPIC}
    asked = {"Name": topic, "PartitionIndexes": [0, 1]}
    for fetch in range(1, 10):
        values = ({"GroupId": topic, "Topics": [asked]} if fetch < 8 else
                  {"Groups": [{"GroupId": topic, "Topics": [asked]}]})
        answer = raw.call("OffsetFetch", fetch, **values)
        group = answer if fetch < 8 else answer["Groups"][0]
        assert group.get("ErrorCode", 0) == 0
        found = {p["PartitionIndex"]: (p["CommittedOffset"], p["Metadata"])
                 for p in group["Topics"][0]["Partitions"]}
        assert found == {0: (42, "m"), 1: (-1, "")}


def test_offsets_by_topic_id(raw, topic, create):
    create(topic)
    topic_id = calls.topic_id(raw, topic)
    answer = raw.call("OffsetCommit", 10, GroupId=topic, Topics=[{
        "TopicId": topic_id, "Partitions": [
            {"PartitionIndex": 0, "CommittedOffset": 7}]}])
    assert answer["Topics"][0]["Partitions"][0]["ErrorCode"] == 0
    for asked in [{"TopicId": topic_id, "PartitionIndexes": [0]}], None:
        answer = raw.call("OffsetFetch", 10, Groups=[
            {"GroupId": topic, "Topics": asked}])
        found, = answer["Groups"][0]["Topics"]
        assert found["TopicId"] == topic_id
        assert found["Partitions"][0]["CommittedOffset"] == 7


def test_commits_are_fenced(raw, topic, create):
    create(topic)
    joined = enter(raw, topic)
    sync(raw, topic, joined, [(joined["MemberId"], b"all")])

    def commit(**values):
        return calls.commit(raw, topic, topic, 1, **{
            "GenerationIdOrMemberEpoch": joined["GenerationId"],
            "MemberId": joined["MemberId"], **values})

    assert commit() == 0
    assert commit(GenerationIdOrMemberEpoch=9) == ILLEGAL_GENERATION
    assert commit(MemberId="other") == UNKNOWN_MEMBER
    assert commit(GenerationIdOrMemberEpoch=-1, MemberId="") == UNKNOWN_MEMBER


@pytest.mark.parametrize("version", range(7))
def test_the_coordinator_is_a_broker(version, raw, topic):
    values = {"Key": topic} if version < 4 else {"CoordinatorKeys": [topic]}
    answer = raw.call("FindCoordinator", version, **values)
    found = answer if version < 4 else answer["Coordinators"][0]
    assert found["ErrorCode"] == 0
    nodes = {(b["NodeId"], b["Host"], b["Port"])
             for b in raw.call("Metadata", 9, Topics=[])["Brokers"]}
    assert (found["NodeId"], found["Host"], found["Port"]) in nodes


@pytest.mark.ours  # Apache Kafka waits for its transactions' topic first
@pytest.mark.parametrize("version", range(1, 7))
def test_a_transactional_id_has_a_coordinator_too(version, raw, topic):
    """Clients ask before InitProducerId tells them that there is none."""
    values = {"Key": topic} if version < 4 else {"CoordinatorKeys": [topic]}
    answer = raw.call("FindCoordinator", version, KeyType=1, **values)
    found = answer if version < 4 else answer["Coordinators"][0]
    assert found["ErrorCode"] == 0
    assert found["NodeId"] == raw.call(
        "Metadata", 9, Topics=[])["ControllerId"]
