"""The power goes, again and again on one folder, under load.

The shim writes down what reached the files and what was synced; power.py says
what a cut leaves of it. Nothing that was acknowledged may be missing."""
import os
import random
import subprocess
import sys
import threading
import time

import pytest

from ask import read_all
from calls import create
from load import Aged, Load
from node import SHIMS
import power

FAST = os.environ.get("FAST", "0") != "0"
# Of each kind; three kinds.
ROUNDS = int(os.environ.get("ROUNDS", 3 if FAST else 10))
FOREVER = 1 << 40
MIB = 1 << 20
SMALL = {"segment.bytes": str(MIB)}


class LongLoad(Load):
    """With segments that roll, and a topic whose old ones are deleted."""
    TURNS = {**Load.TURNS, "aged": 20}

    def __init__(self, node):
        with node.connect() as connection:
            super().__init__(connection, MIB // 200, **SMALL)
            create(connection, "aged", **SMALL, **{
                "retention.bytes": str(2 * MIB), "file.delete.delay.ms": "9"})
        self.aged = Aged("aged", MIB // 20, 2 * MIB)

    def check(self, node):
        super().check(node)
        with node.connect() as connection:
            self.aged.check(read_all(connection, "aged"))


@pytest.fixture
def node(node):
    node.settings["storage.retention_check"] = "50ms"
    return node


def test_what_a_cut_leaves(tmp_path):
    """The model, on a program whose every call is known."""
    disk, journal = tmp_path / "disk", tmp_path / "journal"
    (disk / "old").mkdir(parents=True)
    (disk / "old" / "kept").write_bytes(b"kept")
    before = power.Disk(disk)
    program = """if 1:
        import os
        os.chdir("/")
        def sync(path, call=os.fsync):
            fd = os.open(path, os.O_RDONLY)
            call(fd)
            os.close(fd)
        def put(path, data, position=0):
            fd = os.open(path, os.O_RDWR | os.O_CREAT)
            os.pwrite(fd, data, position)
            os.close(fd)
        put(root + "/lost", b"its name is lost")
        sync(root + "/lost")
        os.mkdir(root + "/new")
        put(root + "/new/a", b"first")
        sync(root + "/new/a", os.fdatasync)
        put(root + "/new/a", b"F")
        put(root + "/empty", b"not synced")
        os.unlink(root + "/lost")
        os.rename(root + "/old/kept", root + "/old/moved")
        sync(root)
        sync(root + "/new")
        put(root + "/lost", b"too late")
        fd = os.open(root + "/new/a", os.O_WRONLY | os.O_APPEND)
        os.write(fd, b" and last")
        os.ftruncate(fd, 9)
    """
    subprocess.run(
        [sys.executable, "-c", f"root = {before.root!r}\n{program}"],
        check=True, env={**os.environ, "POWER_ROOT": before.root,
                         "POWER_JOURNAL": str(journal),
                         "LD_PRELOAD": str(SHIMS / "power_shim.so")})
    before.play(journal)
    assert before.left("nothing") == {
        "old": {"kept": b"kept"}, "new": {"a": b"first"}, "empty": b""}
    assert before.left("all") == power.Disk(disk).left("all") == {
        "old": {"moved": b"kept"}, "new": {"a": b"First and"},
        "empty": b"not synced", "lost": b"too late"}
    some = [before.left("some", random.Random(i)) for i in range(200)]
    assert {one["new"]["a"] for one in some} == {
        b"first", b"First", b"First and last", b"first\0\0\0\0\0\0\0\0\0",
        b"First\0\0\0\0\0\0\0\0\0", b"First and"}


def test_what_a_failed_sync_did_not_write_is_lost(tmp_path):
    disk = power.Disk(tmp_path)
    disk.play_file("7", f"{disk.root}/a")
    for number, inode, data, end in (
            ("1", "7", b"lost", disk.play_failed),
            ("2", "7", b"kept", disk.play_synced),
            ("3", str(tmp_path.stat().st_ino), b"late", disk.play_synced)):
        disk.change(7, 4 * int(number), data)
        disk.play_syncing(number, inode)
        end(number)
    assert disk.left("nothing") == {"a": bytes(8) + b"kept"}
    assert disk.left("all") == {"a": bytes(4) + b"lostkeptlate"}


@pytest.mark.parametrize("end", ("kill", "stop"))
def test_the_journal_misses_nothing(node, end):
    """Played to its end it gives the very files: no call of the release
    binary goes past the shim."""
    node.start(journal=True, **({} if end == "stop" else {
        "FAULT_HOW": "kill", "FAULT_CALLS": "write", "FAULT_AT": 50,
        "FAULT_PATHS": "/aged-0/"}))
    load = LongLoad(node)
    load.run(node, times=10)
    if end == "stop":
        node.stop()
    assert node.ended() == (0 if end == "stop" else -9)
    cut = node.power_cut()
    assert len(list(node.data.glob("log/aged-0/*.log"))) > 1
    assert power.difference(cut.left("all"),
                            power.Disk(node.disk).left("all")) is None


def cut_somewhere(node, load, chance):
    """A life that ends at some call or at some time, also while it starts;
    the disk that it leaves."""
    at_call = chance.random() < 0.5
    node.spawn(journal=True, **({
        "FAULT_HOW": chance.choice(("kill", "torn")), "FAULT_PATHS": "/data/",
        "FAULT_AT": int(2 ** chance.uniform(0, 9))} if at_call else {}))
    if node.serves():
        running = threading.Thread(target=load.run, args=(node, FOREVER),
                                   daemon=True)
        running.start()
        if at_call:
            node.ended(60)
        else:
            time.sleep(chance.uniform(0, 0.5))
            node.kill()
        running.join(30)
    return node.power_cut()


@pytest.mark.parametrize("how", ("nothing", "some", "all"))
@pytest.mark.timeout(120 + 10 * ROUNDS)
def test_rounds_of_power_cuts_under_load(node, how, record_property):
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    chance = random.Random(seed)
    print(f"SEED={seed} ROUNDS={ROUNDS}")
    node.start()
    load = LongLoad(node)
    node.stop()
    lost = 0
    for turn in range(ROUNDS):
        cut = cut_somewhere(node, load, chance)
        lost += cut.pending()
        node.restore(cut.left(how, chance))
        node.start()
        load.check(node)
        getattr(node, chance.choice(("kill", "stop")))()
    node.start()
    load.finish(node)
    record_property(
        "told", f"{ROUNDS} power cuts that keep {how} of {lost} pending "
        f"changes: {load.acked()} acknowledged, 0 lost, 0 doubled, "
        f"{load.aged.start} forgotten")
