"""Kafka's own command-line tools, as its users run them."""
import json
import re
import subprocess
import time

import pytest

import clients
from calls import append
from clients import java
from records import batch
from wire import Connection

TOOLS = "org.apache.kafka.tools."
TIME = int(time.time()) * 1000 - 3_600_000
LINES = "".join(f"key{i}:value {i}\n" for i in range(100))


def tool(name, *args, data=None):
    done = subprocess.run(
        java(TOOLS + name, *map(str, args)), input=data, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def test_console_producer_and_consumer(bootstrap, topic):
    tool("ConsoleProducer", "--bootstrap-server", bootstrap, "--topic", topic,
         "--reader-property", "parse.key=true", "--reader-property",
         "key.separator=:", data=LINES)
    clients.tally(clients.JAVA, produced=100)
    read = tool("consumer.ConsoleConsumer", "--bootstrap-server", bootstrap,
                "--topic", topic, "--from-beginning", "--max-messages", 100,
                "--formatter-property", "print.key=true",
                "--formatter-property", "key.separator=:")
    clients.tally(clients.JAVA, consumed=100)
    assert read == LINES


def test_verifiable_producer_and_consumer(bootstrap, topic, create):
    create(topic)
    out = tool("VerifiableProducer", "--bootstrap-server", bootstrap,
               "--topic", topic, "--max-messages", 500)
    sent = [e for e in map(json.loads, out.splitlines())
            if e["name"] == "producer_send_success"]
    assert [e["offset"] for e in sent] == list(range(500))
    clients.tally(clients.JAVA, produced=500)
    out = tool("VerifiableConsumer", "--bootstrap-server", bootstrap,
               "--topic", topic, "--group-id", topic, "--max-messages", 500,
               "--reset-policy", "earliest")
    events = [json.loads(line) for line in out.splitlines()]
    assert sum(e["count"] for e in events
               if e["name"] == "records_consumed") == 500
    committed = [e for e in events if e["name"] == "offsets_committed"]
    assert committed and all(e["success"] for e in committed)
    assert committed[-1]["offsets"] == [
        {"topic": topic, "partition": 0, "offset": 500}]
    clients.tally(clients.JAVA, consumed=500)


def dump(files, *options):
    """What kafka-dump-log says of files, none of it a complaint."""
    out = tool("DumpLogSegments", *options, "--files",
               ",".join(map(str, files)))
    assert not re.search("mismatch|corrupt|invalid|isvalid: false|exception",
                         out, re.I), out
    return out


@pytest.mark.ours
def test_dump_log_reads_every_file_of_a_partition(start_broker):
    """Each kind of file, by each of the tool's ways to look at it."""
    broker = start_broker(**{"storage.segment": "1MiB"})
    clients.CONFLUENT.produce(broker.bootstrap, "dumped",
                              clients.plain_records("dump", 100), idempotent=1)
    with Connection(broker.bootstrap) as raw:
        append(raw, "dumped", *(batch([bytes(5_000)] * 3, timestamp=TIME + i)
                                for i in range(300)))
    broker.run("stop", broker.handle)
    folder = clients.pathlib.Path(broker.dir()) / "log" / "dumped-0"
    logs, indexes, times, states = (
        sorted(folder.glob("*." + kind))
        for kind in ("log", "index", "timeindex", "snapshot"))
    assert len(logs) == len(indexes) == len(times) > 3 and states

    out = dump(logs, "--deep-iteration")
    assert re.findall(r"^\| offset: (\d+) ", out, re.M) == [
        str(i) for i in range(1000)]
    counts = re.findall(r"^baseOffset: .* count: (\d+) .* isvalid: true", out,
                        re.M)
    assert sum(map(int, counts)) == 1000
    for pattern, files in ((r"^offset: \d+ position: \d+", indexes),
                           (r"^timestamp: \d{13} offset: \d+", times),
                           (r"^producerId: \d+ producerEpoch: 0 .*"
                            "lastSequence: 99 ", states)):
        assert re.search(pattern, dump(files), re.M), pattern
    checked = dump(indexes + times, "--index-sanity-check")
    assert checked.count("passed sanity check") == len(indexes + times)
    dump(indexes + times, "--verify-index-only")
