"""What any client wrote, with any codec, any other that knows it reads."""
import concurrent.futures
import fcntl
import uuid

import pytest

import clients
from clients import plain_records
from wire import Connection

pytestmark = pytest.mark.slow
EACH = 30
WAYS = ("none", *clients.CODECS)


@pytest.fixture(scope="module")
def written(bootstrap):
    """For a codec, (topic, writers): a topic to which all clients wrote with
    it, once, whichever of the test processes comes first."""
    def written(way):
        writers = [c for c in clients.ALL
                   if way == "none" or way in c.codecs]
        with open(clients.TALLY.parent / f"matrix-{way}", "a+") as note:
            fcntl.flock(note, fcntl.LOCK_EX)
            note.seek(0)
            topic = note.read()
            if not topic:
                topic = f"matrix-{way}-{uuid.uuid4().hex[:8]}"
                write(bootstrap, topic, way, writers)
                note.write(topic)
        return topic, writers
    return written


def write(bootstrap, topic, way, writers):
    with Connection(bootstrap) as raw:
        raw.call("CreateTopics", 5, timeoutMs=10000, Topics=[{
            "Name": topic, "NumPartitions": 1, "ReplicationFactor": 1}])
    settings = {} if way == "none" else {"codec": way, "linger_ms": 20}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(
                c.produce, bootstrap, topic, plain_records(c.name, EACH),
                **settings) for c in writers]:
            done.result()


@pytest.mark.parametrize("way,reader", [
    pytest.param(way, reader, id=f"{way}-{reader.name}")
    for way in WAYS for reader in clients.ALL
    if way == "none" or way in reader.foreign])
def test_reads_what_all_wrote(way, reader, written, bootstrap):
    topic, writers = written(way)
    reads = reader.consume(bootstrap, topic, EACH * len(writers))
    assert [r.offset for r in reads] == list(range(len(reads)))
    for writer in writers:
        name = writer.name.encode()
        theirs = [r.record for r in reads
                  if dict(r.record.headers)["client"] == name]
        assert theirs == plain_records(writer.name, EACH), writer.name
