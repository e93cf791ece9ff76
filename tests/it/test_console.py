"""Kafka's own command-line tools, as its users run them."""
import json
import re
import subprocess

import pytest

import clients
from clients import java

TOOLS = "org.apache.kafka.tools."
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


@pytest.mark.ours
def test_dump_log_reads_every_file_of_a_partition(
        start_broker, tmp_path):
    broker = start_broker(**{"storage.segment": "1MiB"})
    client = clients.CONFLUENT
    sent = [r._replace(value=r.value * 40)
            for r in clients.plain_records("dump", 1000)]
    client.produce(broker.bootstrap, "dumped", sent, idempotent=1)
    broker.run("stop", broker.handle)
    folder = clients.pathlib.Path(broker.dir()) / "log" / "dumped-0"
    files = [p for kind in ("log", "index", "timeindex", "snapshot")
             for p in sorted(folder.glob("*." + kind))]
    assert {p.suffix for p in files} == {
        ".log", ".index", ".timeindex", ".snapshot"}
    assert len(list(folder.glob("*.log"))) > 1
    out = tool("DumpLogSegments", "--deep-iteration", "--files",
               ",".join(map(str, files)))
    counts = re.findall(r"^baseOffset: .* count: (\d+) .* isvalid: true", out,
                        re.M)
    assert sum(map(int, counts)) == 1000
    assert re.search(r"^producerId: \d+", out, re.M)
    assert not re.search("mismatch|corrupt|invalid|isvalid: false", out, re.I)
