"""The command line against a real broker: every verb, and what it says."""
import base64
import json
import os
import pty
import shutil
import signal
import subprocess
import time

import pytest

import clients

TIDEMARK = str(clients.PROGRAM)


class Cli:
    def __init__(self, server):
        self.server = server

    def start(self, *args, **more):
        return subprocess.Popen(
            [TIDEMARK, *args, "--server", self.server], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, **more)

    def run(self, *args, given="", code=0):
        """What it printed; on failure, what it printed to stderr."""
        process = self.start(*args)
        out, err = process.communicate(given, timeout=100)
        assert process.returncode == code, (args, out, err)
        return err if code else out

    def lines(self, *args, **more):
        return self.run(*args, **more).splitlines()

    def records(self, topic, *args):
        return [json.loads(line) for line in
                self.lines("consume", topic, "--to", "end", "--json", *args)]


@pytest.fixture
def cli(bootstrap):
    return Cli(bootstrap)


def made(cli, topic, partitions=1):
    cli.run("topic", "create", topic, "--partitions", str(partitions))
    return topic


def test_a_topic_from_its_creation_to_its_end(cli, topic):
    assert cli.run("topic", "create", topic, "--partitions", "3", "--config",
                   "retention.ms=7d") == (
        f'created topic "{topic}": 3 partitions, 1 copy\n')
    again = cli.run("topic", "create", topic, code=1)
    assert again == f'tidemark: topic "{topic}" exists already\n'
    cli.run("topic", "create", topic, "--if-absent")
    listed = [json.loads(line) for line in cli.lines("topic", "list", "--json")]
    assert {"topic": topic, "partitions": 3, "replication_factor": 1,
            "internal": False} in listed
    assert any(line.split() == [topic, "3", "1"]
               for line in cli.lines("topic", "list"))
    cli.run("produce", topic, "a", "b", "--partition", "2")
    told = json.loads(cli.run("topic", "describe", topic, "--json"))
    assert [(p["first_offset"], p["end_offset"])
            for p in told["partitions"]] == [(0, 0), (0, 0), (0, 2)]
    assert "2       1         1        1      0    2        2" in cli.run(
        "topic", "describe", topic)
    assert "say --yes" in cli.run("topic", "delete", topic, code=2)
    cli.run("topic", "describe", topic)  # it is still there
    assert cli.run("topic", "delete", topic, "--yes") == (
        f'deleted topic "{topic}"\n')
    assert cli.run("topic", "delete", topic, "--yes", code=1) == (
        f'tidemark: topic "{topic}" does not exist\n')
    cli.run("topic", "delete", topic, "--yes", "--if-present")


@pytest.mark.parametrize("said,code", (("y", 0), ("n", 1), ("", 1)))
def test_a_terminal_is_asked_before_a_topic_goes(cli, topic, said, code):
    made(cli, topic)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [TIDEMARK, "topic", "delete", topic, "--server", cli.server],
        text=True, stdin=theirs, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE)
    os.close(theirs)
    os.write(ours, said.encode() + b"\n")
    out, err = process.communicate(timeout=100)
    os.close(ours)
    assert (process.returncode, f'delete topic "{topic}"' in err) == (
        code, True)
    assert ("deleted" in out) == (code == 0)


def test_what_cannot_be_is_refused_with_a_reason(cli, topic):
    assert "no.such" in cli.run(
        "topic", "create", topic, "--config", "no.such=1", code=1)
    assert cli.run("topic", "describe", topic, code=1) == (
        f'tidemark: topic "{topic}" does not exist; create it with '
        f'`tidemark topic create {topic}`\n')
    assert "does not exist" in cli.run("consume", topic, code=1)
    made(cli, topic)
    assert "has no partition 7: it has 1" in cli.run(
        "produce", topic, "x", "--partition", "7", code=1)
    assert "has no partition 7" in cli.run(
        "consume", topic, "--partition", "7", code=1)
    assert "--from: expected first, end" in cli.run(
        "consume", topic, "--from", "soon", code=2)
    assert "--compression: expected" in cli.run(
        "produce", topic, "--compression", "rar", code=2)


def test_nobody_there_is_said_with_what_to_do(cli, topic):
    assert Cli("127.0.0.1:1").run("topic", "list", code=1) == (
        "tidemark: nothing answers at 127.0.0.1:1; start a broker with "
        "`tidemark serve` or name one with --server\n")


@pytest.mark.parametrize("codec", ("none", "gzip", "snappy", "lz4", "zstd"))
def test_lines_go_in_and_come_out(cli, topic, codec):
    made(cli, topic)
    lines = [f"line {i} " + "x" * (i % 300) for i in range(5000)]
    told = cli.run("produce", topic, "--compression", codec, "--json",
                   given="\n".join(lines) + "\n")
    assert json.loads(told) == {"topic": topic, "records": 5000, "partitions": [
        {"partition": 0, "first_offset": 0, "records": 5000}]}
    assert cli.lines("consume", topic, "--to", "end") == lines
    assert cli.lines("consume", topic, "--from", "4990", "--count", "3",
                     "--offsets") == [
        f"0\t{i}\t{lines[i]}" for i in range(4990, 4993)]


@pytest.mark.parametrize("acks", ("0", "1", "all"))
def test_every_kind_of_acknowledgement_works(cli, topic, acks):
    made(cli, topic)
    assert cli.run("produce", topic, "x", "y", "--acks", acks) == (
        f'2 records to topic "{topic}"\n')
    assert cli.lines("consume", topic, "--count", "2") == ["x", "y"]


def test_keys_headers_and_bytes_are_kept(cli, topic):
    made(cli, topic, 4)
    cli.run("produce", topic, "--keys", "\\t", "--header", "h=1", "--header",
            "h=zwei", given="ada\t1\nbob\t2\nada\t3\n")
    records = cli.records(topic)
    assert {(r["key"], r["value"]) for r in records} == {
        ("ada", "1"), ("bob", "2"), ("ada", "3")}
    assert all(r["headers"] == [{"name": "h", "value": "1"},
                                {"name": "h", "value": "zwei"}]
               for r in records)
    assert len({r["partition"] for r in records if r["key"] == "ada"}) == 1
    assert "h=1,h=zwei\tbob\t2" in cli.lines(
        "consume", topic, "--to", "end", "--headers", "--keys")
    process = subprocess.run(
        [TIDEMARK, "produce", topic, "--server", cli.server],
        input=b"\xff\xfe\x00\n", check=True, stdout=subprocess.PIPE)
    assert process.stdout
    assert base64.b64encode(b"\xff\xfe\x00").decode() in [
        r.get("value_base64") for r in cli.records(topic)]


def test_the_same_keys_go_where_other_clients_send_them(cli, topic):
    made(cli, topic, 7)
    keys = [f"key-{i}" for i in range(50)]
    subprocess.run(
        ["kcat", "-q", "-b", cli.server, "-P", "-t", topic, "-K:",
         "-X", "topic.partitioner=murmur2_random"],
        input="".join(f"{k}:kcat\n" for k in keys), text=True, check=True)
    cli.run("produce", topic, "--keys", ":",
            given="".join(f"{k}:ours\n" for k in keys))
    places = {}
    for record in cli.records(topic):
        places.setdefault(record["key"], set()).add(record["partition"])
    assert len(places) == 50
    assert all(len(place) == 1 for place in places.values())


def test_places_are_offsets_words_and_times(cli, topic):
    made(cli, topic)
    cli.run("produce", topic, "old")
    time.sleep(1.1)
    between = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    time.sleep(1.1)
    cli.run("produce", topic, "new")
    assert cli.lines("consume", topic, "--from", between, "--to", "end") == [
        "new"]
    assert cli.lines("consume", topic, "--to", between) == ["old"]
    assert cli.lines("consume", topic, "--from", "10m", "--to", "1") == ["old"]
    assert cli.lines("consume", topic, "--from", "end", "--to", "end") == []
    assert "it is beyond the end" in cli.run(
        "consume", topic, "--from", "99", code=1)


def test_who_types_sees_each_line_arrive(cli, topic):
    made(cli, topic)
    reader = cli.start("consume", topic)
    writer = cli.start("produce", topic)
    for line in ("one\n", "two\n"):
        writer.stdin.write(line)
        writer.stdin.flush()
        assert reader.stdout.readline() == line
    reader.send_signal(signal.SIGINT)
    assert reader.wait(10) == 0
    assert writer.communicate(timeout=10)[0] == (
        f'2 records to topic "{topic}"\n')
    assert writer.returncode == 0


def test_a_group_goes_on_where_it_stopped(cli, topic):
    made(cli, topic, 3)
    lines = [str(i) for i in range(1000)]
    cli.run("produce", topic, given="\n".join(lines))
    first = cli.lines("consume", topic, "--group", topic, "--count", "400")
    rest = cli.lines("consume", topic, "--group", topic, "--to", "end")
    assert len(first) == 400
    assert sorted(first + rest) == sorted(lines)
    assert cli.lines("consume", topic, "--group", topic, "--to", "end") == []


def test_two_members_share_and_one_takes_over(cli, topic):
    made(cli, topic, 4)
    members = [cli.start("consume", topic, "--group", topic, "--offsets")]
    time.sleep(4)
    members.append(cli.start("consume", topic, "--group", topic, "--offsets"))
    time.sleep(8)  # a heartbeat interval and the initial delay

    def produce(tag):
        for partition in range(4):
            cli.run("produce", topic, f"{tag}-{partition}", "--partition",
                    str(partition))

    produce("both")
    time.sleep(2)
    members[0].send_signal(signal.SIGTERM)
    out = members[0].communicate(timeout=20)[0].split()[2::3]
    assert members[0].returncode == 0
    assert len(out) == 2
    time.sleep(6)
    produce("one")
    time.sleep(2)
    members[1].send_signal(signal.SIGINT)
    other = members[1].communicate(timeout=20)[0].split()[2::3]
    assert members[1].returncode == 0
    assert sorted(out + other) == sorted(
        f"{tag}-{p}" for tag in ("both", "one") for p in range(4))


def test_a_reader_that_has_enough_is_no_failure(cli, topic):
    made(cli, topic)
    cli.run("produce", topic, given="".join(f"{i}\n" for i in range(100000)))
    done = subprocess.run(
        ["bash", "-c", f'"{TIDEMARK}" consume "{topic}" --server '
                       f'"{cli.server}" | head -n 1; '
                       'echo "${PIPESTATUS[0]}"'],
        text=True, check=True, stdout=subprocess.PIPE, timeout=60)
    assert done.stdout == "0\n0\n"


@pytest.mark.ours
@pytest.mark.slow
def test_a_kill_in_the_middle_loses_and_doubles_nothing(start_broker):
    broker = start_broker()
    cli = Cli(broker.bootstrap)
    made(cli, "kept", 3)
    writer = cli.start("produce", "kept")
    lines = [str(i) for i in range(60)]
    for i, line in enumerate(lines):
        writer.stdin.write(line + "\n")
        writer.stdin.flush()
        time.sleep(0.02)
        if i in (20, 40):
            broker.kill()
            broker.restart()
    assert writer.communicate(timeout=60)[0] == '60 records to topic "kept"\n'
    assert sorted(cli.lines("consume", "kept", "--to", "end")) == sorted(lines)


def offline(tmp_path, *args):
    return subprocess.run([TIDEMARK, *args], text=True, cwd=tmp_path,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_every_command_has_help_with_an_example(tmp_path):
    listed = offline(tmp_path, "--help").stdout
    names = [line.split("  ")[1].removeprefix("tidemark ").strip()
             for line in listed.splitlines() if line.startswith("  tidemark")]
    assert {"serve", "config check", "topic create", "produce",
            "consume"} <= set(names)
    for name in names:
        done = offline(tmp_path, *name.split(), "--help")
        assert done.returncode == 0
        assert "\nexample:\n  " in done.stdout, name
    assert offline(tmp_path, "--version").stdout.startswith("tidemark ")
    assert offline(tmp_path, "cosume").returncode == 2


@pytest.mark.ours  # Apache Kafka's open indexes are full of zeroes
def test_the_files_of_a_partition_are_shown_and_checked(
        cli, topic, log_dir, tmp_path):
    made(cli, topic)
    cli.run("produce", topic, "--keys", ":", "--compression", "zstd",
            given="a:1\nb:2\n")
    folder = log_dir / f"{topic}-0"
    told = [json.loads(line) for line in offline(
        tmp_path, "log", "dump", str(folder), "--records",
        "--json").stdout.splitlines()]
    assert [(r["offset"], r["key"], r["value"]) for r in told
            if r["kind"] == "record"] == [(0, "a", "1"), (1, "b", "2")]
    assert [(b["offset"], b["last_offset"], b["codec"]) for b in told
            if b["kind"] == "batch"] == [(0, 1, "zstd")]
    assert told[-1]["problems"] == 0
    shown = offline(tmp_path, "log", "dump", str(folder), "--records").stdout
    assert "offsets 0-1, 2 records, " in shown
    assert "  b  2\n" in shown
    done = offline(tmp_path, "log", "check", str(folder))
    assert done.returncode == 0
    assert done.stdout.startswith("1 partition, 1 segment, 1 batch, 2 records")
    assert done.stdout.endswith(": all is well\n")
    done = offline(tmp_path, "log", "check", str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert "nowhere" in done.stderr


@pytest.mark.ours
def test_a_flipped_byte_is_found(cli, topic, log_dir, tmp_path):
    made(cli, topic)
    for value in ("one", "two", "three"):
        cli.run("produce", topic, value)
    shutil.copytree(log_dir / f"{topic}-0", tmp_path / f"{topic}-0")
    path = tmp_path / f"{topic}-0" / f"{0:020}.log"
    data = bytearray(path.read_bytes())
    data[data.index(b"two")] ^= 1
    path.write_bytes(data)
    done = offline(tmp_path, "log", "check", f"{topic}-0")
    assert done.returncode == 1
    assert done.stdout.startswith(f"problem: {topic}-0/{0:020}.log at ")
    assert "offset 1: checksum does not match" in done.stdout
    assert done.stdout.endswith(": 1 problem\n")
