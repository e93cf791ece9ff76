"""Three brokers with one face: begin() makes an empty topic, end() takes its
data away again. All are pinned to core 0, clients to core 1.

The data goes at once, and memory is touched before each run: this kind of
machine hands free memory back to its host, and a page that is touched anew
costs the run CPU time."""
import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import ask

REFERENCE = pathlib.Path(os.environ["REFERENCE"])
TIDEMARK = os.environ["TIDEMARK"]
BROKER_CPU, CLIENT_CPU = "0", "1"
FIFO = os.environ.get("FIFO", "0") != "0"
START_S = 60


def free_port():
    """Below the ephemeral range, so that no client's own port takes it."""
    while True:
        port = random.randrange(10_000, 30_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def cpu_s(pid):
    """CPU seconds of a process, of threads that have ended as well."""
    return time.clock_gettime(~pid << 3 | 2)


def rss_mb(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return int(re.search(r"Rss:\s+(\d+)", f.read())[1]) / 1024


def wakeups(pid):
    """How often its threads were given a core."""
    return sum(int(path.read_text().split()[2]) for path in
               pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"))


@contextlib.contextmanager
def real_time(pid):
    """All threads of a broker before those of the machine's other work, for
    the seconds of a run."""
    if not FIFO:
        yield
        return
    subprocess.run(["chrt", "-a", "-f", "-p", "10", str(pid)], check=True)
    try:
        yield
    finally:
        subprocess.run(["chrt", "-a", "-o", "-p", "0", str(pid)])


def touch_memory(size):
    """Writes and removes a file of so many bytes: the pages that the next run
    takes were used just now, and are not fetched from the machine's host."""
    chunk = bytes(1 << 20)
    with tempfile.TemporaryFile(dir=REFERENCE / "tmp", buffering=0) as file:
        for _ in range(int(size) >> 20):
            file.write(chunk)


class Process:
    """A broker that is started anew for each run."""

    def __init__(self):
        self.process, self.dir, self.topic = None, None, "t"

    def spawn(self, before=()):
        self.started = time.monotonic()
        os.sched_setaffinity(0, {int(BROKER_CPU)})
        try:
            self.process = subprocess.Popen(
                [*before, *self.command()], stdout=subprocess.DEVNULL,
                stderr=open(REFERENCE / "tmp" / "broker.log", "wb"))
        finally:
            os.sched_setaffinity(0, range(os.cpu_count()))
        self.pid = self.process.pid

    def begin(self, topic_configs=None):
        self.end()
        self.port = free_port()
        self.dir = tempfile.mkdtemp(dir=REFERENCE / "tmp", prefix="data.")
        self.spawn()
        ask.first_answer(self.port, self.started, START_S)
        self.make_topic()

    def make_topic(self):
        pass

    def kill(self, how=signal.SIGKILL):
        if self.process:
            self.process.send_signal(how)
            try:
                self.process.wait(30)
            finally:
                self.process.kill()
                self.process.wait()
                self.process = None

    def end(self):
        self.kill()
        if self.dir:
            shutil.rmtree(self.dir)
            self.dir = None

    close = end

    @property
    def boot(self):
        return f"127.0.0.1:{self.port}"


class Floor(Process):
    """What any broker must do: check a CRC, append, sendfile."""
    name = "floor"

    def __init__(self, sync=False):
        super().__init__()
        self.sync = sync

    def command(self):
        return [REFERENCE / "bin" / "floor2", str(self.port), self.dir, "crc",
                "write", "coal", "cc=cubic", *["fsync"] * self.sync]


class Tidemark(Process):
    name = "tidemark"

    def __init__(self, sync=False):
        super().__init__()
        self.flush = "commit" if sync else "async"

    def command(self):
        return [TIDEMARK, "serve", "--set", f"node.data_dir={self.dir}",
                "--set", f"listeners.1.bind={self.boot}",
                "--set", f"storage.flush={self.flush}"]

    def make_topic(self):
        ask.auto_create(self.port, self.topic)


class Kafka:
    """Started once, warmed, and kept; each run has a topic of its own."""
    name = "kafka"

    def __init__(self):
        self.topic, self.count = None, 0
        self.dir = tempfile.mkdtemp(dir=REFERENCE / "tmp", prefix="kafka.")
        done = subprocess.run(
            [REFERENCE / "kafka.sh", "start", "1",
             "log.segment.delete.delay.ms=0"],
            env={**os.environ, "KAFKA_CPUS": BROKER_CPU, "DATA": self.dir},
            capture_output=True, text=True, timeout=600)
        if done.returncode:
            shutil.rmtree(self.dir)
            raise RuntimeError(done.stderr.strip()[-300:])
        self.boot, pid, _ = done.stdout.split()[-3:]
        self.pid, self.port = int(pid), int(self.boot.rpartition(":")[2])

    def begin(self, topic_configs=None):
        self.end()
        self.count += 1
        self.topic = f"t{self.count}"
        ask.create_topic(self.port, self.topic, topic_configs or {})
        ask.auto_create(self.port, self.topic)

    def end(self):
        if self.topic:
            ask.delete_topic(self.port, self.topic)
            self.topic = None
            time.sleep(0.5)

    def close(self):
        subprocess.run([REFERENCE / "kafka.sh", "stop", self.dir], timeout=60)
        shutil.rmtree(self.dir)
