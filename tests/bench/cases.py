"""What is measured: each case gives the figures of one run of one broker."""
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

import ask
import brokers
from brokers import CLIENT_CPU, FIFO, REFERENCE

CLIENT_S = 180  # no run of a client takes longer
FRAMING = {100: 9, 1024: 11}  # of a record, in bytes


class Goal:
    """A bound on a figure: on itself, or on its ratio to another broker's.
    where: it is a goal only if that broker reaches the bound."""

    def __init__(self, figure, beside, most=None, least=None, where=None):
        self.figure, self.beside, self.where = figure, beside, where
        self.most, self.least = most, least

    def holds(self, value):
        return value <= self.most if self.most else value >= self.least

    def __str__(self):
        bound = f"<= {self.most:.3g}" if self.most else f">= {self.least:.3g}"
        return bound + (f" x {self.beside}" if self.beside else "")


class Case:
    sync = False
    kafka = True
    keeps = False  # data and broker are used for all runs
    goals = ()


def client(broker, command, units, cpu="cpu_ns"):
    """Runs a reference client; gives its rate and the broker's CPU a unit."""
    pin = ["chrt", "-f", "10"] if FIFO else []
    with brokers.real_time(broker.pid):
        before = brokers.cpu_s(broker.pid)
        done = subprocess.run(
            [*pin, "taskset", "-c", CLIENT_CPU, *command],
            env={**os.environ, "TOPIC": broker.topic},
            capture_output=True, text=True, timeout=CLIENT_S)
        spent = brokers.cpu_s(broker.pid) - before
    output = done.stdout + done.stderr
    if done.returncode or re.search(r"[1-9]\d* failed|%[1-9]\d* errors",
                                    output):
        raise RuntimeError(f"{command[0]} failed: {output[-300:]}")
    found = re.findall(r"([\d.]+) msgs/s and|consumed in \d+ms: ([\d.]+) "
                       r"msgs/s|\b\w*(?:_per_s|reqs_s)=([\d.]+)", output)
    if not found:
        raise RuntimeError(f"{command[0]} says nothing of a rate: {output}")
    return {"rate": float("".join(found[-1])), cpu: spent / units * 1e9}


def program(name):
    return str(REFERENCE / "bin" / name)


class Produce(Case):
    def __init__(self, size, count, idempotent=False, goals=()):
        self.size, self.count, self.goals = size, count, goals
        self.sync = idempotent
        self.more = ["-X", "enable.idempotence=true"] if idempotent else []

    def run(self, broker, scale):
        count = int(self.count * scale)
        broker.begin({"flush.messages": "1"} if self.sync else {})
        brokers.touch_memory(1.5 * self.size * count)
        return client(broker, [
            program("rdkafka_performance"), "-P", "-t", broker.topic, "-p",
            "0", "-b", broker.boot, "-s", str(self.size), "-c", str(count),
            "-a", "all" if self.sync else "1", "-X", "linger.ms=5",
            *self.more], count)


class Consume(Case):
    keeps = True

    def __init__(self, size, count, goals):
        self.size, self.count, self.goals = size, count, goals
        self.seeded = set()

    def run(self, broker, scale):
        count = int(self.count * scale)
        if broker not in self.seeded:
            self.seeded.add(broker)
            broker.begin()
            subprocess.run([program("prodc"), broker.boot, str(self.size),
                            str(count), "none", "batch"], check=True,
                           env={**os.environ, "TOPIC": broker.topic},
                           capture_output=True, timeout=CLIENT_S)
        return client(broker, [
            program("rdkafka_performance"), "-C", "-t", broker.topic, "-p",
            "0", "-b", broker.boot, "-o", "0", "-B", "1000", "-c",
            str(count)], count)


class Tiny(Case):
    """One record a request, 50 requests a write, 200 on their way."""

    def run(self, broker, scale):
        count = int(100_000 * scale)
        broker.begin()
        return client(broker, [program("rawprod"), str(broker.port), "1",
                               "100", str(count), "200", "50"], count)


class Commit(Case):
    """OffsetCommit by 16 groups with one request each on its way. Ours are on
    disk when they are answered, and so are the floor's here."""
    sync = True

    def run(self, broker, scale):
        count = int(60_000 * scale)
        broker.begin()
        return client(broker, [program("rawcommit"), str(broker.port), "16",
                               str(count)], count)


def syncs_of_a_start(broker):
    """How many syncs a start makes, by strace; None without it."""
    if not shutil.which("strace"):
        return None
    broker.kill(signal.SIGTERM)
    told = REFERENCE / "tmp" / "syncs"
    # -D: the broker stays our child, strace is beside it.
    broker.spawn(before=("strace", "-D", "-f", "-qq", "-o", str(told), "-e",
                         "trace=fsync,fdatasync"))
    ask.first_answer(broker.port, broker.started)
    time.sleep(0.2)
    found = re.findall(r"^\d+ +f(?:data)?sync\(", told.read_text(), re.M)
    broker.kill(signal.SIGTERM)
    time.sleep(0.2)
    told.unlink()
    return len(found)


def sync_ms():
    """What one fdatasync of 4 KiB takes here and now: the median of 20."""
    times = []
    with tempfile.TemporaryFile(dir=REFERENCE / "tmp", buffering=0) as file:
        for _ in range(20):
            file.write(bytes(4096))
            began = time.monotonic()
            os.fdatasync(file.fileno())
            times.append((time.monotonic() - began) * 1e3)
    return statistics.median(times)


class Start(Case):
    """From exec to the first answer, on a folder that is there and was left
    in order, beside what one sync takes and how many it makes; then memory and
    wake-ups of the idle process with one topic."""
    kafka = False
    keeps = True
    IDLE_S = 3
    goals = (Goal("start_ms", None, most=10), Goal("idle_rss_mb", None,
                                                   most=6))

    def run(self, broker, scale):
        if broker.dir is None:
            broker.begin()
            client(broker, [
                program("rdkafka_performance"), "-P", "-t", broker.topic,
                "-p", "0", "-b", broker.boot, "-s", "100", "-c", "100000",
                "-a", "1"], 1)
        syncs = syncs_of_a_start(broker)
        broker.kill(signal.SIGTERM)
        one_sync_ms = sync_ms()
        broker.spawn()
        with brokers.real_time(broker.pid):
            start_ms = ask.first_answer(broker.port, broker.started)
        time.sleep(2)  # what is put off by a second has been done
        before = brokers.wakeups(broker.pid)
        time.sleep(self.IDLE_S * min(scale, 1))
        woken = brokers.wakeups(broker.pid) - before
        return {"start_ms": start_ms,
                **({} if syncs is None else {"start_syncs": syncs}),
                "sync_ms": one_sync_ms,
                "idle_rss_mb": brokers.rss_mb(broker.pid),
                "idle_wakeups_s": woken / (self.IDLE_S * min(scale, 1))}


def path_goals(cpu):
    return (Goal("rate", "floor", least=0.9),
            Goal("cpu_ns", "floor", most=cpu))


def produce_goals(cpu):
    return (*path_goals(cpu), Goal("cpu_ns", "kafka", most=1 / 3))


CASES = {
    "produce100": Produce(100, 2_000_000, goals=produce_goals(1.36)),
    "produce1k": Produce(1024, 500_000, goals=produce_goals(1.25)),
    "consume100": Consume(100, 3_000_000, path_goals(1.3)),
    "consume1k": Consume(1024, 700_000, path_goals(1.3)),
    "durable100": Produce(100, 1_000_000, idempotent=True,
                          goals=(Goal("rate", "floor", least=0.8),
                                 Goal("rate", None, least=1e6,
                                      where="floor"))),
    "tiny": Tiny(),
    "commit16": Commit(),
    "start": Start(),
}
