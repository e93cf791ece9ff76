"""What any client wrote, with any codec, any other that knows it reads."""
import concurrent.futures
import uuid

import pytest

import clients
from clients import plain_records
from wire import Connection

pytestmark = pytest.mark.slow
EACH = 30
WAYS = ("none", *clients.CODECS)


def pytest_generate_tests(metafunc):
    """One worker has all readers of a codec, so that it is written once."""
    metafunc.parametrize("written,reader", [
        pytest.param(way, reader, id=f"{way}-{reader.name}",
                     marks=pytest.mark.xdist_group(way))
        for way in WAYS for reader in clients.ALL
        if way == "none" or way in reader.foreign],
        indirect=["written"])


@pytest.fixture(scope="module")
def written(request, bootstrap):
    """(topic, writers): a topic to which all clients wrote with that codec."""
    way = request.param
    topic = f"matrix-{way}-{uuid.uuid4().hex[:8]}"
    with Connection(bootstrap) as raw:
        raw.call("CreateTopics", 5, timeoutMs=10000, Topics=[{
            "Name": topic, "NumPartitions": 1, "ReplicationFactor": 1}])
    writers = [c for c in clients.ALL if way == "none" or way in c.codecs]
    settings = {} if way == "none" else {"codec": way, "linger_ms": 20}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(
                c.produce, bootstrap, topic, plain_records(c.name, EACH),
                **settings) for c in writers]:
            done.result()
    return topic, writers


def test_reads_what_all_wrote(written, reader, bootstrap):
    topic, writers = written
    reads = reader.consume(bootstrap, topic, EACH * len(writers))
    assert [r.offset for r in reads] == list(range(len(reads)))
    for writer in writers:
        name = writer.name.encode()
        theirs = [r.record for r in reads
                  if dict(r.record.headers)["client"] == name]
        assert theirs == plain_records(writer.name, EACH), writer.name
