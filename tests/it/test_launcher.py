"""scripts/broker, which other suites use, too: every verb, as it promises."""
import os
import pathlib
import signal
import subprocess
import time

import pytest

import clients
from calls import append, create, look_up
from records import batch
from wire import Connection

pytestmark = pytest.mark.ours
VERBS = ("stop", "rm", "kill", "restart", "dir", "pid")


class Launcher:
    """The launcher with a folder of its own for handles, so that what it
    leaves can be seen."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, *args, code=0, **env):
        """What it said on stdout; where it fails, on stderr."""
        done = subprocess.run(
            [clients.ROOT / "scripts/broker", *args], text=True, timeout=90,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(self.folder), "LIFE": "600",
                 **env})
        assert done.returncode == code, (args, done)
        return done.stderr if code else done.stdout

    def start(self, *args, **env):
        """(address, handle) from the last line."""
        last = self.run("start", "1", *args, **env).splitlines()[-1]
        address, handle = last.split()
        return address, handle

    def left(self):
        return list(self.folder.iterdir())


@pytest.fixture
def launcher(tmp_path):
    """Ends what a test that failed has left."""
    one = Launcher(tmp_path)
    yield one
    for handle in one.left():
        if (handle / "deadline").exists():
            one.run("rm", str(handle))


def gone(pid):
    """Whether a process has ended, be it a zombie of nobody's."""
    try:
        return "\nState:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def test_a_node_from_its_start_to_its_end(launcher):
    address, handle = launcher.start()
    host, port = address.split(":")
    assert host == "127.0.0.1" and 10_000 <= int(port) < 32_768
    pid = int(launcher.run("pid", handle, "1"))
    assert os.getsid(pid) != os.getsid(0), "it is detached from the caller"
    folder = pathlib.Path(launcher.run("dir", handle, "1").strip())
    assert (folder / "meta.db").is_file()
    with Connection(address) as raw:
        create(raw, "t")
        append(raw, "t", batch([b"kept"]))

    launcher.run("kill", handle, "1")
    assert gone(pid), "it has returned when the node was gone"
    assert "is down" in launcher.run("pid", handle, "1", code=1)
    launcher.run("restart", handle, "1")
    with Connection(address) as raw:
        assert look_up(raw, "t", -1)[0] == 1, "same port, same folder"

    again = int(launcher.run("pid", handle, "1"))
    assert again != pid
    launcher.run("restart", handle, "1")  # one that runs is stopped first
    assert gone(again)
    launcher.run("stop", handle)
    assert pathlib.Path(launcher.run("dir", handle, "1").strip()) == folder
    assert (folder / "meta.db").is_file(), "the data stays"
    launcher.run("restart", handle, "1")
    last = int(launcher.run("pid", handle, "1"))
    launcher.run("rm", handle)
    assert gone(last) and launcher.left() == []


def test_ports_config_and_settings_are_passed_on(launcher, tmp_path_factory):
    config = tmp_path_factory.mktemp("config") / "some.lua"
    config.write_text("topics = { users = { partitions = 3 } }\n"
                      "defaults = { partitions = 2 }\n")
    port = clients.free_port()
    address, handle = launcher.start(
        "defaults.partitions=5", "coordinator.session_min=8s",
        PORTS=str(port), CONFIG=str(config))
    assert address == f"127.0.0.1:{port}"
    for _ in range(2):
        with Connection(address) as raw:
            told = raw.call("Metadata", 9, Topics=[{"Name": "users"}])
            assert len(told["Topics"][0]["Partitions"]) == 3
            made = raw.call("CreateTopics", 5, timeoutMs=10000,
                            validateOnly=True, Topics=[
                                {"Name": "t", "NumPartitions": -1,
                                 "ReplicationFactor": -1}])
            assert made["Topics"][0]["NumPartitions"] == 5
        launcher.run("restart", handle, "1")
    launcher.run("rm", handle)


@pytest.mark.parametrize("args,env,said", [
    (("1", "no.such=1"), {}, 'unknown setting "no.such"'),
    (("1", "oops"), {}, "not KEY=VALUE"),
    (("1", "node.data_dir=/x"), {}, "set by the launcher"),
    (("2",), {}, "one node"),
    (("1",), {"CONFIG": "/no/such/file"}, "no such file"),
    (("1",), {"PORTS": "ninety"}, "not a port"),
    (("1",), {"LIFE": "soon"}, "not a number of seconds"),
    (("1",), {"TIDEMARK": "/no/such/program"}, "no such program")],
    ids=lambda v: "")
def test_a_start_that_fails_says_why_last_and_leaves_nothing(
        args, env, said, launcher):
    last = launcher.run("start", *args, code=1, **env).splitlines()[-1]
    assert last.startswith("broker: ") and said in last
    assert launcher.left() == []


def test_a_port_that_is_taken_fails_and_disturbs_nobody(launcher):
    address, handle = launcher.start()
    last = launcher.run("start", "1", code=1,
                        PORTS=address.split(":")[1]).splitlines()[-1]
    assert "the port is taken" in last
    assert launcher.left() == [pathlib.Path(handle)]
    with Connection(address) as raw:
        raw.call("ApiVersions", 0)
    launcher.run("rm", handle)


def test_misuse_has_another_status_than_failure(launcher):
    for args in ((), ("begin",), ("start",), ("start", "one"), *(
            (verb,) for verb in VERBS)):
        assert "broker start" in launcher.run(*args, code=2)
    for verb in VERBS:
        assert "not a handle" in launcher.run(
            verb, str(launcher.folder), "1", code=1)
    assert launcher.left() == []


def test_it_ends_by_itself_when_its_life_is_over(launcher):
    _, handle = launcher.start(LIFE="3")
    began = time.monotonic()
    pid = int(launcher.run("pid", handle, "1"))
    while not gone(pid):
        assert time.monotonic() - began < 15
        time.sleep(0.05)
    log = (pathlib.Path(handle) / "1" / "log").read_text()
    assert "stopped; the data is in" in log
    assert "LIFE is over" in launcher.run("restart", handle, "1", code=1)
    launcher.run("rm", handle)


def test_a_caller_that_is_killed_takes_no_node_with_it(launcher):
    """As with `timeout` around a test, or a terminal that is closed."""
    with subprocess.Popen(
            ["bash", "-c", '"$0" start 1; sleep 60',
             clients.ROOT / "scripts/broker"],
            stdout=subprocess.PIPE, text=True, start_new_session=True, env={
                **os.environ, "TMPDIR": str(launcher.folder),
                "LIFE": "600"}) as caller:
        address, handle = caller.stdout.readline().split()
        os.killpg(caller.pid, signal.SIGKILL)
    with Connection(address) as raw:
        raw.call("ApiVersions", 0)
    launcher.run("rm", handle)
