"""config.lua, --set and `config check`, from the outside."""
import re
import shutil
import subprocess

import pytest

import clients
from test_broker import topics
from test_sqlite import select
from wire import Connection

pytestmark = pytest.mark.ours


def run(folder, *args, before=(), **env):
    """A command in a folder, without a broker."""
    return subprocess.run(
        [*before, clients.PROGRAM, *args], text=True, cwd=folder, timeout=60,
        env={"PATH": clients.os.environ["PATH"], **env},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def refused(folder, text, *args):
    """The lines that `config check` says of a config, but for their count."""
    (folder / "config.lua").write_text(text)
    done = run(folder, "config", "check", *args)
    assert (done.returncode, done.stdout) == (1, ""), done
    *lines, count = done.stderr.splitlines()
    assert count.startswith(f"{len(lines)} error"), done.stderr
    return lines


def test_all_errors_are_told_at_once_with_line_and_nearest_name(tmp_path):
    text = ("limits = { memory = '1GiB' }\nstorage = { flsh = 'async' }\n"
            "node = { config = { ['num.partition'] = 3 } }\n")
    expected = [
        'config.lua:2: storage: unknown key "flsh"; did you mean "flush"?',
        'config.lua:3: node.config: unknown key "num.partition"; did you '
        'mean "num.partitions"?']
    assert refused(tmp_path, text) == expected
    done = run(tmp_path, "serve")
    assert done.returncode == 1
    assert done.stderr.splitlines()[:2] == expected
    assert [p.name for p in tmp_path.iterdir()] == ["config.lua"]


@pytest.mark.parametrize("text,said", {
    "both names of a setting": (
        "defaults = { partitions = 2 }\n"
        "node = { config = { ['num.partitions'] = 3 } }",
        r':2: node\.config\["num\.partitions"\]: .* the same setting as '
        r"defaults\.partitions: give one of them"),
    "a Kafka name that does nothing here": (
        "node = { config = { ['log.cleaner.threads'] = 3 } }",
        r':1: node\.config\["log\.cleaner\.threads"\]: .* does nothing here'),
    "a name that is not Kafka's": (
        "node = { config = { ['some.thing'] = 3 } }",
        r':1: node\.config: unknown key "some\.thing"'),
    "what comes later": (
        "security = { }", r":1: security: is known, not in this version"),
    "a size that is none": (
        "limits = { memory = '1 gigabyte' }", r':1: limits\.memory: .*"1GiB"'),
    "a duration without a unit": (
        "limits = { idle = '10' }", r":1: limits\.idle: "),
    "a variable that is not set": (
        "node = { id = tonumber(env 'NOT_SET_AT_ALL') }",
        r":1: .*NOT_SET_AT_ALL"),
    "no Lua": ("node = }", r":1: unexpected symbol near '}'"),
    "no way out of the sandbox": ("os.execute('true')", r":1: .*os"),
    "beyond the loopback": (
        "listeners = { { bind = '0.0.0.0:9092' } }", r":1: .*allow_insecure"),
}.items(), ids=lambda v: v.replace(" ", "-") if isinstance(v, str) else "")
def test_what_is_refused_says_where_and_why(text, said, tmp_path):
    line, = refused(tmp_path, said[0])
    assert re.match("config.lua" + said[1], line), line


def test_what_env_sizes_durations_and_names_of_kafka_say_is_obeyed(
        start_broker, tmp_path):
    """And --set stands over the file, under either name."""
    (tmp_path / "config.lua").write_text("""
        topics = {
            [env("TOPIC", "plain")] = { config = {
                ["retention.ms"] = "7d", ["segment.bytes"] = "2MiB" } },
        }
        node = { config = { ["num.partitions"] = 3,
                            ["group.min.session.timeout.ms"] = "7s" } }
        """)
    broker = start_broker(CONFIG=str(tmp_path / "config.lua"), TOPIC="named",
                          **{"coordinator.session_min": "8s"})
    with Connection(broker.bootstrap) as raw:
        assert {n: p for n, (_, p) in topics(raw).items()} == {"named": 3}
        made = raw.call("CreateTopics", 5, timeoutMs=10000, Topics=[
            {"Name": "other", "NumPartitions": -1, "ReplicationFactor": -1}])
        assert made["Topics"][0]["NumPartitions"] == 3
        for session, error in (7_500, 26), (8_000, 79):
            assert raw.call("JoinGroup", 7, **{
                "GroupId": "g", "SessionTimeoutMs": session,
                "RebalanceTimeoutMs": 10_000, "ProtocolType": "consumer",
                "Protocols": [{"Name": "range", "Metadata": b""}]})[
                    "ErrorCode"] == error
    assert {("retention.ms", str(7 * 86_400_000)),
            ("segment.bytes", str(2 << 20))} <= set(select(
                broker, "select name, value from topic_configs where topic ="
                " 'named'"))


def test_topics_that_are_there_are_not_altered_and_that_is_said(
        start_broker, tmp_path):
    config = tmp_path / "config.lua"
    text = ("topics = {{ users = {{ partitions = {}, config = {{\n"
            "  ['retention.ms'] = '{}' }} }} }}\n")
    config.write_text(text.format(4, "7d"))
    broker = start_broker(CONFIG=str(config))
    log = clients.pathlib.Path(broker.dir()).parent / "log"
    assert "the settings create topics" not in log.read_text()
    for partitions, days, told in ((4, "7d", []), (8, "1d", [
            'topic "users" has 4 partitions, not 8',
            'topic "users" has retention.ms=604800000, not 86400000'])):
        config.write_text(text.format(partitions, days))
        broker.restart()
        with Connection(broker.bootstrap) as raw:
            assert topics(raw)["users"][1] == 4
        lines = [line for line in log.read_text().splitlines()
                 if "the settings create topics and alter none" in line]
        assert len(lines) == len(told)
        assert all(words in line for words, line in zip(told, lines)), lines


def test_paths_are_those_of_the_file_and_of_a_set_those_of_the_shell(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "config.lua").write_text("node = { data_dir = './mine' }\n")
    done = run(tmp_path, "config", "check", "--config", "inner/config.lua")
    assert done.stdout.endswith("data in inner/mine\n"), done
    done = run(tmp_path, "config", "check", "--config", "inner/config.lua",
               "--set", "node.data_dir=./here")
    assert done.stdout.endswith("data in ./here\n"), done


def test_a_check_opens_no_port_and_no_folder(tmp_path):
    """strace sees all that it asks of the system. (Leaks are not looked for
    beside it.)"""
    shutil.copy(clients.ROOT / "config.lua", tmp_path)
    done = run(tmp_path, "config", "check", ASAN_OPTIONS="detect_leaks=0",
               before=("strace", "-f", "-qq", "-o", "calls", "-e",
                       "trace=%network,%file,openat"))
    assert (done.returncode, done.stderr) == (0, ""), done
    calls = (tmp_path / "calls").read_text()
    assert "config.lua" in calls
    assert not re.search(r"\b(socket|bind|listen|mkdir|O_CREAT|O_WRONLY|O_RDWR"
                         r"|rename|unlink)", calls), calls
    assert {p.name for p in tmp_path.iterdir()} == {"config.lua", "calls"}


def test_the_status_of_a_check(tmp_path):
    for status, args in ((0, ()), (1, ("--config", "none.lua")),
                         (2, ("--config",)), (2, ("more",))):
        assert run(tmp_path, "config", "check", *args).returncode == status
    done = run(tmp_path, "config", "check")
    assert done.stdout == (
        "no config.lua: good: 2 listeners, 0 topics, data in ./data\n")
    done = run(tmp_path, "config", "check", "--config", "none.lua")
    assert done.stderr.startswith("none.lua: no such file\n1 error, ")
    done = run(tmp_path, "config", "check", "--config",
               str(clients.ROOT / "config.lua"))
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
