"""What a client writes comes back, at its defaults and with each codec."""
import pytest

import clients
import records
from clients import odd_records, plain_records


def log_of(reads):
    """The records of one partition, checked to be without a gap."""
    assert [r.offset for r in reads] == list(range(len(reads)))
    return [r.record for r in reads]


def test_the_client_is_the_one_that_is_pinned(client):
    assert client.run("version") == [[client.version]]


def test_first_produce_creates_the_topic_and_all_comes_back(
        client, bootstrap, topic):
    sent = plain_records(client.name, 400)
    told = client.produce(bootstrap, topic, sent)
    reads = client.consume(bootstrap, topic, len(sent))
    assert log_of(reads) == sent
    assert {r.partition for r in reads} == {0}
    for index, (partition, offset) in enumerate(told):
        assert partition in (0, None) and offset in (index, None)


@pytest.mark.clients(binary=True)
def test_nulls_and_bytes_that_are_no_text_come_back(client, bootstrap, topic):
    sent = odd_records(client)
    client.produce(bootstrap, topic, sent)
    assert log_of(client.consume(bootstrap, topic, len(sent))) == sent


@pytest.mark.parametrize("codec", clients.CODECS)
def test_codec_reaches_the_disk_and_comes_back(
        client, codec, bootstrap, topic, create, log_dir):
    if codec not in client.codecs:
        # Not a gap: the client has no such codec, and must say so.
        with pytest.raises(AssertionError):
            client.produce(bootstrap, topic, plain_records("-", 1),
                           codec=codec)
        return
    create(topic)
    sent = plain_records(client.name, 200)
    client.produce(bootstrap, topic, sent, codec=codec, linger_ms=50)
    batches = records.on_disk(log_dir, topic)
    # A client may leave as it is what does not get smaller.
    assert {b.codec for b in batches if b.count > 9} == {
        records.CODECS[codec]}
    assert sum(b.count for b in batches) == len(sent)
    assert all(b.intact for b in batches)
    assert log_of(client.consume(bootstrap, topic, len(sent))) == sent


@pytest.mark.parametrize("kept", ("uncompressed", *clients.CODECS))
def test_the_topics_codec_replaces_the_clients(
        client, kept, bootstrap, topic, create, log_dir):
    """Repacked batches have the same records at the same offsets."""
    create(topic, **{"compression.type": kept})
    sent = plain_records(client.name, 200)
    others = [c for c in client.codecs if c != kept]
    codec = others[len(kept) % len(others)]
    told = client.produce(bootstrap, topic, sent, codec=codec, linger_ms=50)
    assert all(o in (i, None) for i, (_, o) in enumerate(told))
    batches = records.on_disk(log_dir, topic)
    assert {b.codec for b in batches} == {
        records.CODECS.get(kept, records.CODECS["none"])}
    assert all(b.intact for b in batches)
    # A topic whose codec is zstd is not for Fetch below version 10.
    reader = client
    if kept not in ("uncompressed", *client.foreign) or (
            kept == "zstd" and client is clients.KAFKA_PYTHON_2):
        reader = clients.CONFLUENT
    assert log_of(reader.consume(bootstrap, topic, len(sent))) == sent


@pytest.mark.parametrize("acks", ("0", "1", "all"))
def test_every_kind_of_acknowledgement(client, acks, bootstrap, topic, create):
    create(topic)
    sent = plain_records(client.name, 50)
    client.produce(bootstrap, topic, sent, acks=acks, idempotent=0)
    assert log_of(client.consume(bootstrap, topic, len(sent))) == sent


@pytest.mark.parametrize("client", [
    c for c in clients.ALL if c is not clients.KAFKA_PYTHON_2],
    ids=lambda c: c.name)
def test_idempotent_producer_numbers_its_batches(
        client, bootstrap, topic, create, log_dir):
    create(topic)
    sent = plain_records(client.name, 300)
    client.produce(bootstrap, topic, sent, idempotent=1, acks="all")
    next_sequence = {}
    for batch in records.on_disk(log_dir, topic):
        assert batch.producer_id >= 0 and batch.producer_epoch == 0
        expected = next_sequence.get(batch.producer_id, 0)
        assert batch.sequence == expected
        next_sequence[batch.producer_id] = expected + batch.count
    assert sum(next_sequence.values()) == len(sent)
    assert log_of(client.consume(bootstrap, topic, len(sent))) == sent
