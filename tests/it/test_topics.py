"""CreateTopics and DeleteTopics on the wire."""
import time
import uuid

import pytest

import calls
from calls import delete, produce
from clients import OURS
from records import batch

UNKNOWN_TOPIC, INVALID_TOPIC, EXISTS, PARTITIONS = 3, 17, 36, 37
REPLICATION, INVALID_CONFIG, UNKNOWN_TOPIC_ID = 38, 40, 100


@pytest.fixture
def creating(raw):
    def creating(version=5, validate=False, **topic):
        values = {"NumPartitions": 1, "ReplicationFactor": 1, **topic}
        answer = raw.call("CreateTopics", version, timeoutMs=10000,
                          validateOnly=validate, Topics=[values])
        return answer["Topics"][0]
    return creating


def names(raw):
    if not OURS:
        # Apache Kafka answers before its metadata follows.
        time.sleep(0.3)
    return {t["Name"] for t in raw.call("Metadata", 9, Topics=None)["Topics"]}


@pytest.mark.parametrize("version", range(2, 8))
def test_every_version_creates(version, raw, topic, creating):
    made = creating(version, Name=topic, NumPartitions=2)
    assert made["ErrorCode"] == 0
    assert topic in names(raw)
    if version >= 5:
        assert (made["NumPartitions"], made["ReplicationFactor"]) == (2, 1)
        assert "segment.bytes" in {c["Name"] for c in made["Configs"]}
    if version >= 7:
        found = raw.call("Metadata", 12, Topics=[{"Name": topic}])
        assert found["Topics"][0]["TopicId"] == made["TopicId"]


def test_numbers_left_to_the_broker(raw, topic, creating):
    made = creating(5, Name=topic, NumPartitions=-1, ReplicationFactor=-1)
    assert made["ErrorCode"] == 0 and made["NumPartitions"] == 1


def test_what_is_refused(raw, topic, creating):
    assert creating(Name=topic)["ErrorCode"] == 0
    for error, values in (
            (EXISTS, {"Name": topic}),
            (INVALID_TOPIC, {"Name": "a b"}),
            (INVALID_TOPIC, {"Name": ""}),
            (INVALID_TOPIC, {"Name": "x" * 250}),
            (PARTITIONS, {"Name": topic + "-1", "NumPartitions": 0}),
            (PARTITIONS, {"Name": topic + "-2", "NumPartitions": -5}),
            (REPLICATION, {"Name": topic + "-3", "ReplicationFactor": 0}),
            (REPLICATION, {"Name": topic + "-4", "ReplicationFactor": 9}),
            (INVALID_CONFIG, {"Name": topic + "-5", "Configs": [
                {"Name": "no.such.config", "Value": "1"}]}),
            (INVALID_CONFIG, {"Name": topic + "-6", "Configs": [
                {"Name": "retention.ms", "Value": "soon"}]})):
        refused = creating(**values)
        assert refused["ErrorCode"] == error, values
        assert refused["ErrorMessage"], values
    assert not any(n.startswith(topic + "-") for n in names(raw))


def test_only_validated(raw, topic, creating):
    assert creating(validate=True, Name=topic)["ErrorCode"] == 0
    assert topic not in names(raw)


def test_configs_are_kept(topic, creating):
    made = creating(5, Name=topic, Configs=[
        {"Name": "retention.ms", "Value": "12345"}])
    kept = {c["Name"]: (c["Value"], c["ConfigSource"])
            for c in made["Configs"]}
    assert kept["retention.ms"] == ("12345", 1)


@pytest.mark.parametrize("version", range(1, 7))
def test_every_version_deletes(version, raw, topic, create):
    create(topic)
    names_field = ({"TopicNames": [topic]} if version < 6 else
                   {"Topics": [{"Name": topic}]})
    for error in 0, UNKNOWN_TOPIC:
        answer = raw.call("DeleteTopics", version, TimeoutMs=10000,
                          **names_field)
        assert answer["Responses"][0]["ErrorCode"] == error
    assert topic not in names(raw)


def test_deletes_by_id(raw, topic, create):
    create(topic)
    topic_id = calls.topic_id(raw, topic)
    for given, error in ((uuid.uuid4(), UNKNOWN_TOPIC_ID), (topic_id, 0),
                         (topic_id, UNKNOWN_TOPIC_ID)):
        answer = raw.call("DeleteTopics", 6, TimeoutMs=10000, Topics=[
            {"Name": None, "TopicId": given}])
        assert answer["Responses"][0]["ErrorCode"] == error


@pytest.mark.ours
def test_a_topic_made_again_is_empty_and_another(raw, topic, create):
    seen = set()
    for _ in range(3):
        create(topic)
        part = produce(raw, topic, batch([b"x"]))
        assert (part["ErrorCode"], part["BaseOffset"]) == (0, 0)
        seen.add(calls.topic_id(raw, topic))
        delete(raw, topic)
    assert len(seen) == 3
