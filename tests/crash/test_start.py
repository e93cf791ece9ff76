"""What a start on an existing folder waits for: two syncs, one after the
other, and no more. And what the control loop never waits for."""
import re
import time

import pytest

from calls import create

SYNC = re.compile(r"\b(fsync|fdatasync)\(\d+<([^>]*)>")


def synced_before_it_serves(node):
    """Starts it; the files that were synced until it said so, in order. SQLite
    has a disk thread of its own and nobody waits for it."""
    path = node.folder / "strace"
    # -D: the broker stays our child, strace is beside it.
    node.start(before=["strace", "-D", "-f", "-y", "-o", str(path), "-e",
                       "trace=fsync,fdatasync,write"])
    files = []
    for line in path.read_text(errors="replace").splitlines():
        if "write(1<" in line and "serves at" in line:
            return files
        found = SYNC.search(line)
        if found and "/meta.db" not in found[2] and not (
                found[1] == "fdatasync" and found[2] == str(node.data)):
            files.append(found[2].removeprefix(str(node.data) + "/"))
    raise AssertionError("it did not say that it serves: " + node.told())


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_start_waits_for_two_syncs(node, how):
    node.start()
    with node.connect() as connection:
        create(connection, "s")
        create(connection, "t")
    for _ in range(3):
        time.sleep(1.5)  # the point of the entries is stored each second
        if how == "kill":
            node.kill()
        else:
            node.stop()
        files = synced_before_it_serves(node)
        assert len(files) == 2 and files[0] == "quorum/term" and re.fullmatch(
            r"quorum/log/\d+\.log", files[1]), files


def test_a_checkpoint_is_kept_on_a_disk_thread(node):
    path = node.folder / "strace"
    node.start(before=["strace", "-D", "-f", "-y", "-o", str(path), "-e",
                       "trace=fsync,fdatasync"])
    with node.connect() as connection:
        create(connection, "t")
    node.stop()
    threads = {int(line.split()[0])
               for line in path.read_text(errors="replace").splitlines()
               if "/quorum/checkpoint.tmp>" in line and "fdatasync(" in line}
    assert threads and node.process.pid not in threads
