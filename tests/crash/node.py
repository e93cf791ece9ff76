"""A broker that is started, hurt and started again, some thousand times.

The launcher of scripts/ does this too, but takes its time. The process dies
with the test that started it. Its data is below `disk`, beside what it says
and what the shims write down."""
import ctypes
import functools
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "it"))

import power  # noqa: E402
from wire import Closed, Connection  # noqa: E402

PROGRAM = os.environ.get("TIDEMARK", str(ROOT / "build" / "tidemark"))
SHIMS = pathlib.Path(os.environ.get("SHIMS", ROOT / "build" / "crash"))
# Parts of paths, as the shim wants them.
FILES = {"partition": "/data/log/", "quorum": "/data/quorum/",
         "meta": "/data/meta.db"}
PR_SET_PDEATHSIG = 1


@functools.cache
def sanitizer():
    """The library that must be loaded before any other, as a list."""
    libraries = subprocess.run(["ldd", PROGRAM], stdout=subprocess.PIPE,
                               text=True, check=True).stdout
    return re.findall(r"=> (\S+/lib[at]san\.so\S*)", libraries)


def preloading(env):
    """The environment for the shims that `env` has variables of: FAULT_AT is
    for fault_shim. A call goes through them in this order."""
    shims = [name for name in ("power", "full", "fault")
             if any(key.startswith(name.upper() + "_") for key in env)]
    if not shims:
        return env
    program = os.path.basename(PROGRAM)
    return {
        "LD_PRELOAD": ":".join(sanitizer() + [
            str(SHIMS / f"{name}_shim.so") for name in shims]),
        "FAULT_PATHS": ":".join(FILES.values()),
        **{f"{name.upper()}_PROGRAM": program for name in shims}, **env}


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def own_host():
    """A loopback address that no other test process uses: between a kill and
    a restart nobody else can take the port and answer in our place."""
    pid = os.getpid()
    return f"127.{64 + (pid >> 16 & 63)}.{pid >> 8 & 255}.{pid & 255}"


def free_port(host):
    """Below the ephemeral range, so that no client's own port takes it."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) != 0:
                return port


class Node:
    def __init__(self, folder=None, **settings):
        self.made = None if folder else tempfile.TemporaryDirectory(
            prefix="tidemark-crash.")
        self.folder = pathlib.Path(folder or self.made.name)
        self.disk = self.folder / "disk"
        self.disk.mkdir(exist_ok=True)
        self.data = self.disk / "data"
        self.journal = self.folder / "journal"
        self.before = None  # the disk at the begin of the journal
        host = own_host()
        self.bootstrap = f"{host}:{free_port(host)}"
        self.settings = {
            **settings, "node.data_dir": self.data,
            "listeners.1.bind": self.bootstrap}
        self.process = None
        self.log = self.folder / "out"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        said = self.log.read_text(errors="replace")
        if self.made:
            self.made.cleanup()
        assert "Sanitizer" not in said, said

    def spawn(self, before=(), journal=False, **env):
        """Starts it and does not wait; `before` is a strace to start it
        under. FAULT_... and FULL_... are for the shims; with a journal,
        power_cut() can tell what was on the disk."""
        assert not self.alive()
        if journal:
            self.journal.unlink(missing_ok=True)
            self.before = power.Disk(self.disk)
            env = {"POWER_ROOT": self.before.root,
                   "POWER_JOURNAL": self.journal, **env}
        if before:
            # Leaks are looked for by a tracer; a strace lets no other in.
            env["ASAN_OPTIONS"] = "detect_leaks=0"
        env = {k: str(v) for k, v in preloading(env).items()}
        args = [*before, PROGRAM, "serve"]
        for name, value in self.settings.items():
            args += ["--set", f"{name}={value}"]
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                args, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, env={**os.environ, **env},
                preexec_fn=die_with_parent)

    def start(self, seconds=30, **how):
        """Starts it, as spawn(), and waits until it answers."""
        self.spawn(**how)
        assert self.serves(seconds), self.told()
        return self

    def serves(self, seconds=30):
        """Waits until it answers; False when it ended."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.told()
            try:
                with self.connect() as connection:
                    connection.call("ApiVersions", 0)
                    return True
            except (OSError, Closed):
                time.sleep(0.002)
        return False

    def connect(self, **options):
        return Connection(self.bootstrap, **options)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def stop(self, seconds=15):
        self.process.terminate()
        status = self.process.wait(seconds)
        assert status == 0, (status, self.told())

    def ended(self, seconds=10):
        """Waits until it ended by itself; its status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError("it goes on: " + self.told()) from None

    def power_cut(self):
        """The disk as it is now, after a life with a journal."""
        self.kill()
        self.before.play(self.journal)
        return self.before

    def restore(self, tree):
        """The disk holds what a power cut left of it."""
        power.write_tree(self.disk, tree)

    def told(self):
        return self.log.read_text(errors="replace")[-3000:]
