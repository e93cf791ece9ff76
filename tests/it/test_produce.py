"""Produce on the wire: what is taken, what is refused, and with which word."""
import functools
import struct
import time
import uuid
import zlib

import pytest

import calls
import records
from records import batch
from wire import Connection

CORRUPT, UNKNOWN_TOPIC, TOO_LARGE, BAD_ACKS = 2, 3, 10, 21
INVALID_TIMESTAMP, INVALID_REQUEST, OUT_OF_ORDER, FENCED, BAD_TXN_STATE = (
    32, 42, 45, 47, 48)
NO_TRANSACTIONS, INVALID_RECORD, UNKNOWN_TOPIC_ID = 53, 87, 100


@pytest.fixture
def produce(raw, topic):
    """Produces to partition 0; the partition's part of the answer."""
    return functools.partial(calls.produce, raw, topic)


@pytest.fixture
def fetch(raw, topic):
    """All batches of partition 0 from an offset on."""
    def fetch(offset=0):
        part = calls.fetch(raw, topic, offset)
        assert part["ErrorCode"] == 0, part
        return list(records.batches(part["Records"] or b""))
    return fetch


def values(batches):
    return [v for b in batches for _, _, v in b.records()]


@pytest.fixture
def producer_id(raw):
    answer = raw.call("InitProducerId", 4, TransactionalId=None,
                      TransactionTimeoutMs=1000)
    assert answer["ErrorCode"] == 0 and answer["ProducerEpoch"] == 0
    return answer["ProducerId"]


@pytest.mark.parametrize("version", range(3, 13))
def test_every_version_appends(version, topic, create, produce, fetch):
    create(topic)
    for i in range(3):
        part = produce(batch([b"a", b"b"]), version)
        assert part["ErrorCode"] == 0 and part["BaseOffset"] == 2 * i
    assert values(fetch()) == [b"a", b"b"] * 3


def test_by_topic_id(topic, create, raw, fetch):
    create(topic)
    for given, error in ((calls.topic_id(raw, topic), 0),
                         (uuid.uuid4(), UNKNOWN_TOPIC_ID)):
        answer = raw.call("Produce", 13, Acks=-1, TimeoutMs=1000, TopicData=[{
            "TopicId": given, "PartitionData": [
                {"Index": 0, "Records": batch([b"x"])}]}])
        assert answer["Responses"][0]["TopicId"] == given
        part = answer["Responses"][0]["PartitionResponses"][0]
        assert part["ErrorCode"] == error
    assert values(fetch()) == [b"x"]


def test_a_base_offset_of_the_clients(topic, create, produce, fetch):
    create(topic)
    assert produce(batch([b"x"], base=5))["ErrorCode"] == INVALID_RECORD
    assert produce(batch([b"x"]))["ErrorCode"] == 0
    assert produce(batch([b"y"]))["BaseOffset"] == 1
    assert [b.base for b in fetch()] == [0, 1]
    assert all(b.intact for b in fetch())


def test_an_unknown_topic_or_partition(topic, create, raw, produce):
    assert produce(batch([b"x"]))["ErrorCode"] == UNKNOWN_TOPIC
    create(topic)
    answer = raw.call("Produce", 9, Acks=-1, TimeoutMs=1000, TopicData=[{
        "Name": topic, "PartitionData": [
            {"Index": 7, "Records": batch([b"x"])},
            {"Index": 0, "Records": batch([b"x"])}]}])
    codes = {p["Index"]: p["ErrorCode"]
             for p in answer["Responses"][0]["PartitionResponses"]}
    assert codes == {7: UNKNOWN_TOPIC, 0: 0}


def test_other_acks_than_0_1_and_all_are_refused(topic, create, produce,
                                                 fetch):
    create(topic)
    for acks in 2, -2, 100:
        assert produce(batch([b"x"]), acks=acks)["ErrorCode"] == BAD_ACKS
    assert fetch() == []


def test_acks_0_is_not_answered(topic, create, raw, fetch):
    create(topic)
    for i in range(20):
        raw.send("Produce", 9, **calls.to_produce(
            topic, batch([b"%d" % i]), acks=0))
    raw.call("ApiVersions", 0)
    # What is not acknowledged may still be on its way to the disk.
    deadline = time.monotonic() + 5
    while len(fetch()) < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert values(fetch()) == [b"%d" % i for i in range(20)]


def test_an_error_with_acks_0_closes_the_connection(topic, raw):
    raw.send("Produce", 9, **calls.to_produce(topic, batch([b"x"]), acks=0))
    assert raw.ended()


def test_a_batch_with_a_wrong_checksum(topic, create, produce, fetch):
    create(topic)
    assert produce(batch([b"x"], crc=1))["ErrorCode"] == CORRUPT
    assert fetch() == []


@pytest.mark.parametrize("data", [
    batch([b"x"])[:-1], batch([b"x"])[:40], batch([b"x"])[:11]],
    ids=["short", "half a header", "no length"])
def test_a_batch_that_is_cut_off(data, topic, create, produce, fetch):
    create(topic)
    assert produce(data)["ErrorCode"] in (CORRUPT, INVALID_RECORD)
    assert fetch() == []


def test_more_records_announced_than_there_are(topic, create, produce, fetch):
    create(topic)
    assert produce(batch([b"x"], count=3))["ErrorCode"] == INVALID_RECORD
    assert produce(batch([b"x", b"y"], count=1, gzipped=True))[
        "ErrorCode"] == INVALID_RECORD
    assert fetch() == []


def test_a_batch_of_no_records(topic, create, produce, fetch):
    create(topic)
    assert produce(batch([]))["ErrorCode"] == INVALID_RECORD
    assert fetch() == []


def test_two_batches_in_one_partition(topic, create, produce, fetch):
    create(topic)
    part = produce(batch([b"x"]) + batch([b"y"]))
    assert part["ErrorCode"] == INVALID_RECORD
    assert fetch() == []


def test_a_control_batch_from_a_client(topic, create, produce, fetch):
    create(topic)
    assert produce(batch([b"x"], attributes=0x20))["ErrorCode"] == (
        INVALID_RECORD)
    assert fetch() == []


@pytest.mark.parametrize("magic", (0, 1))
def test_old_message_formats(magic, topic, create, produce, fetch):
    """One message of the format before batches, whole and correct."""
    create(topic)
    body = struct.pack(">bb", magic, 0)
    body += struct.pack(">q", 1_700_000_000_000) if magic else b""
    body += struct.pack(">i", -1) + struct.pack(">i", 1) + b"x"
    message = struct.pack(">I", zlib.crc32(body)) + body
    data = struct.pack(">qi", 0, len(message)) + message
    assert produce(data)["ErrorCode"] == INVALID_RECORD
    assert fetch() == []


def test_a_batch_above_the_limit_of_the_topic(topic, create, produce, fetch):
    create(topic, **{"max.message.bytes": "1000"})
    assert produce(batch([b"x" * 1000]))["ErrorCode"] == TOO_LARGE
    assert produce(batch([b"x" * 800]))["ErrorCode"] == 0
    assert len(fetch()) == 1


def test_log_append_time(topic, create, produce, fetch):
    create(topic, **{"message.timestamp.type": "LogAppendTime"})
    part = produce(batch([b"x"], timestamp=1))
    assert part["LogAppendTimeMs"] > 1_700_000_000_000
    one, = fetch()
    assert one.attributes & 8
    assert one.max_timestamp == part["LogAppendTimeMs"]
    assert one.intact


def test_errors_name_the_records_that_have_them(topic, create, produce,
                                                 fetch):
    """The whole batch is refused, and each bad record is told by its place."""
    create(topic, **{"message.timestamp.after.max.ms": "60000",
                     "message.timestamp.before.max.ms": "60000"})
    now = time.time_ns() // 1_000_000
    for wrong in now - 120_000, now + 120_000:
        part = produce(batch([b"a", b"b", b"c"], timestamp=wrong))
        assert part["ErrorCode"] == INVALID_TIMESTAMP, part
        assert [e["BatchIndex"] for e in part["RecordErrors"]] == [0, 1, 2]
        assert all(e["BatchIndexErrorMessage"] for e in part["RecordErrors"])
        assert part["ErrorMessage"]
    assert fetch() == []
    assert produce(batch([b"a"], timestamp=now))["ErrorCode"] == 0


def test_producer_ids_differ(raw, bootstrap):
    def init(connection, version):
        return connection.call("InitProducerId", version, TransactionalId=None,
                               TransactionTimeoutMs=1000)["ProducerId"]

    ids = [init(raw, version) for version in range(6)]
    with Connection(bootstrap) as other:
        ids.append(init(other, 0))
    assert len(set(ids)) == len(ids) and min(ids) >= 0


def test_a_retry_gets_the_first_answer(topic, create, produce, producer_id,
                                       fetch):
    create(topic)
    batches = [batch([b"%d" % i, b"-"], producer=(producer_id, 0, 2 * i))
               for i in range(6)]
    for i, one in enumerate(batches[:5]):
        assert produce(one)["BaseOffset"] == 2 * i
    # Any of the last five, in any order, is known.
    for i in 4, 0, 2, 3, 1:
        part = produce(batches[i])
        assert part["ErrorCode"] == 0 and part["BaseOffset"] == 2 * i
    assert produce(batches[5])["BaseOffset"] == 10
    assert len(fetch()) == 6


def test_a_sequence_too_old_or_with_a_gap(topic, create, produce, producer_id,
                                          fetch):
    create(topic)

    def at(sequence):
        return produce(batch([b"x"], producer=(producer_id, 0, sequence)))

    for i in range(7):
        assert at(i)["ErrorCode"] == 0
    assert at(0)["ErrorCode"] in (45, 46)
    assert at(8)["ErrorCode"] == OUT_OF_ORDER
    assert at(7)["ErrorCode"] == 0
    assert len(fetch()) == 8


def test_a_new_epoch_begins_at_0_and_fences_the_old(
        topic, create, produce, producer_id, fetch):
    create(topic)

    def at(epoch, sequence):
        return produce(batch([b"x"], producer=(producer_id, epoch, sequence)))

    assert at(0, 0)["ErrorCode"] == 0
    assert at(1, 1)["ErrorCode"] == OUT_OF_ORDER
    assert at(1, 0)["ErrorCode"] == 0
    assert at(0, 1)["ErrorCode"] == FENCED
    assert len(fetch()) == 2


def test_sequences_wrap_to_0(topic, create, produce, producer_id, fetch):
    create(topic)
    top = (1 << 31) - 1
    part = produce(batch([b"x"], producer=(producer_id, 0, top)))
    if part["ErrorCode"] == OUT_OF_ORDER:
        pytest.fail("an unknown producer may begin anywhere")
    assert produce(batch([b"y"], producer=(producer_id, 0, 0)))[
        "ErrorCode"] == 0
    assert values(fetch()) == [b"x", b"y"]


def test_an_empty_transactional_id(raw):
    answer = raw.call("InitProducerId", 4, TransactionalId="",
                      TransactionTimeoutMs=1000)
    assert answer["ErrorCode"] == INVALID_REQUEST


@pytest.mark.ours
def test_transactions_are_refused_by_name(raw, topic, create, produce,
                                          producer_id, fetch):
    create(topic)
    answer = raw.call("InitProducerId", 4, TransactionalId="t",
                      TransactionTimeoutMs=1000)
    assert answer["ErrorCode"] == NO_TRANSACTIONS
    assert answer["ProducerId"] == -1
    part = produce(batch([b"x"], producer=(producer_id, 0, 0),
                         attributes=records.TRANSACTIONAL),
                   TransactionalId="t")
    assert part["ErrorCode"] == BAD_TXN_STATE
    part = produce(batch([b"x"], producer=(producer_id, 0, 0),
                         attributes=records.TRANSACTIONAL))
    assert part["ErrorCode"] == BAD_TXN_STATE
    assert fetch() == []
