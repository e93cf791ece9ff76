"""The clients under test: what each can do, and how its driver is run."""
import base64
import collections
import dataclasses
import functools
import os
import pathlib
import random
import signal
import socket
import subprocess
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "it"
JVM = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
       "-Xmx256m", "-cp"]
PROGRAM = pathlib.Path(os.environ.get("TIDEMARK", ROOT / "build/tidemark"))
OURS = "DATA_DIR" in os.environ  # and not Apache Kafka, see conftest.py
CODECS = ("gzip", "snappy", "lz4", "zstd")

Record = collections.namedtuple("Record", "key value headers")
Read = collections.namedtuple("Read", "partition offset timestamp record")


def free_port():
    """Below the ephemeral range, so that no client's own port takes it."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def python(env, driver):
    return [str(BUILD / env / "bin/python"), str(HERE / "drivers" / driver)]


def node(driver):
    return [str(BUILD / "node/node"), str(HERE / "drivers" / driver)]


def java(main, *args):
    return [*JVM, f"{BUILD}/java/classes:{BUILD}/java/libs/*", main, *args]


def pack(data):
    return "-" if data is None else base64.b64encode(data).decode()


def unpack(field):
    return None if field == "-" else base64.b64decode(field)


def pack_record(record, partition):
    headers = ",".join(f"{pack(n.encode())}:{pack(v)}"
                       for n, v in record.headers)
    where = "-" if partition is None else str(partition)
    return "\t".join((where, pack(record.key), pack(record.value), headers))


def unpack_read(fields):
    partition, offset, timestamp, key, value, headers = fields
    pairs = [h.split(":") for h in headers.split(",") if h]
    return Read(int(partition), int(offset), int(timestamp), Record(
        unpack(key), unpack(value),
        [(unpack(n).decode(), unpack(v)) for n, v in pairs]))


@dataclasses.dataclass(frozen=True)
class Client:
    """A client. What a field says it cannot do, the client cannot."""
    name: str
    package: str  # in clients.txt
    source: str   # in clients.txt
    command: tuple
    codecs: tuple = CODECS
    foreign: tuple = CODECS    # codecs in which it reads what others wrote
    binary: bool = True        # any bytes, and nulls, in all fields
    null_headers: bool = True
    static: bool = True        # has static membership
    cooperative: bool = False  # has a cooperative assignor
    admin: bool = True         # creates and deletes topics

    @functools.cached_property
    def version(self):
        for line in (HERE / "clients.txt").read_text().splitlines():
            words = line.split()
            if words[:1] == [self.package] and words[2] == self.source:
                return words[1]
        raise LookupError(self.package)

    def start(self, *args, **options):
        return subprocess.Popen(
            [*self.command, *map(str, args)], stdout=subprocess.PIPE,
            text=True, env={**os.environ, "IT_BUILD": str(BUILD)}, **options)

    def run(self, *args, data=None, seconds=60):
        """The lines that a verb prints, each as a list of its fields."""
        with self.start(*args, stdin=subprocess.PIPE,
                        stderr=subprocess.PIPE) as process:
            try:
                out, err = process.communicate(data, seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                raise AssertionError(
                    f"{self.name} {args}: {seconds} s are over\n"
                    f"{out[-2000:]}\n{err[-4000:]}") from None
        assert process.returncode == 0, (
            f"{self.name} {args}: {process.returncode}\n{err[-4000:]}")
        return [line.split("\t") for line in out.splitlines()]

    def produce(self, bootstrap, topic, records, partition=None, **options):
        """[(partition, offset)], None for what the client does not tell."""
        data = "".join(pack_record(r, partition) + "\n" for r in records)
        done = self.run("produce", bootstrap, topic,
                        *(f"{k}={v}" for k, v in options.items()), data=data)
        assert len(done) == len(records)
        tally(self, produced=len(done))
        return [tuple(None if f == "-" else int(f) for f in line)
                for line in done]

    def consume(self, bootstrap, topic, count, **options):
        lines = self.run("consume", bootstrap, topic, count,
                         *(f"{k}={v}" for k, v in options.items()))
        assert len(lines) == count
        tally(self, consumed=count)
        return [unpack_read(line) for line in lines]


class Member:
    """A running member of a group, and all that it has told so far."""

    def __init__(self, client, bootstrap, topic, group, **options):
        self.client = client
        self.records = []   # (partition, offset, value)
        self.assigned = []  # (monotonic time, set of partitions)
        self.errors = ""
        self.process = client.start(
            "group", bootstrap, topic, group,
            *(f"{k}={v}" for k, v in options.items()),
            stderr=subprocess.PIPE, start_new_session=True)
        self.changed = threading.Condition()
        self.threads = [threading.Thread(target=f, daemon=True)
                        for f in (self.listen, self.gather)]
        for thread in self.threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()
        tally(self.client, consumed=len(self.records))

    def listen(self):
        for line in self.process.stdout:
            what, *fields = line.rstrip("\n").split("\t")
            with self.changed:
                if what == "assigned":
                    self.assigned.append((time.monotonic(), frozenset(
                        int(p) for p in fields[0].split(",") if p)))
                elif what == "record":
                    self.records.append((int(fields[0]), int(fields[1]),
                                         unpack(fields[2])))
                self.changed.notify_all()

    def gather(self):
        for line in self.process.stderr:
            self.errors = (self.errors + line)[-4000:]

    @property
    def partitions(self):
        return self.assigned[-1][1] if self.assigned else frozenset()

    def wait(self, what, ready, seconds):
        with self.changed:
            if not self.changed.wait_for(ready, seconds):
                raise AssertionError(
                    f"{self.client.name}: not {what} in {seconds} s; "
                    f"assigned {[sorted(a) for _, a in self.assigned]}, "
                    f"{len(self.records)} records\n{self.errors}")

    def wait_partitions(self, count, seconds=30):
        self.wait(f"{count} partitions",
                  lambda: len(self.partitions) == count, seconds)

    def wait_records(self, count, seconds=30):
        self.wait(f"{count} records",
                  lambda: len(self.records) >= count, seconds)

    def kill(self):
        """SIGKILL to the driver and what it runs."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.finish()

    def leave(self, seconds=30):
        self.process.send_signal(signal.SIGTERM)
        return self.finish(seconds)

    def finish(self, seconds=30):
        status = self.process.wait(seconds)
        for thread in self.threads:
            thread.join(seconds)
        return status


KCAT = Client("kcat", "kcat", "apt", tuple(python("new", "kcat.py")),
              binary=False, null_headers=False, admin=False)
KAFKA_PYTHON_2 = Client(
    "kafka-python-2", "kafka-python", "pip:old",
    tuple(python("old", "kafka_python.py")), null_headers=False,
    static=False)
KAFKA_PYTHON_3 = Client(
    "kafka-python-3", "kafka-python", "pip:new",
    tuple(python("new", "kafka_python.py")), null_headers=False)
CONFLUENT = Client(
    "confluent-kafka", "confluent-kafka", "pip:new",
    tuple(python("new", "confluent.py")), cooperative=True)
AIOKAFKA = Client(
    "aiokafka", "aiokafka", "pip:new", tuple(python("new", "aio.py")))
KAFKAJS = Client(
    "kafkajs", "kafkajs", "npm", tuple(node("kafkajs.js")),
    codecs=("gzip", "snappy", "lz4"),
    foreign=("gzip", "snappy", "lz4"), null_headers=False, static=False)
PLATFORMATIC = Client(
    "platformatic", "@platformatic/kafka", "npm",
    tuple(node("platformatic.js")), null_headers=False,
    # Its snappy lacks the frames in which Java and others write it.
    foreign=("gzip", "lz4", "zstd"))
JAVA = Client("java", "kafka-clients", "maven", tuple(java("Driver")),
              cooperative=True)
ALL = (KCAT, KAFKA_PYTHON_2, KAFKA_PYTHON_3, CONFLUENT, AIOKAFKA, KAFKAJS,
       PLATFORMATIC, JAVA)

TALLY = pathlib.Path(os.environ.get("IT_TALLY", BUILD / "work/tally"))


def tally(client, produced=0, consumed=0):
    """Counts for the closing table; one file a process."""
    TALLY.mkdir(parents=True, exist_ok=True)
    with open(TALLY / str(os.getpid()), "a") as out:
        print(client.name, produced, consumed, file=out)


def table():
    """The lines of the closing table."""
    counts = collections.defaultdict(lambda: [0, 0])
    for path in TALLY.glob("*"):
        for line in path.read_text().splitlines():
            name, produced, consumed = line.split()
            counts[name][0] += int(produced)
            counts[name][1] += int(consumed)
    yield f"{'client':<18}{'version':<12}{'produced':>10}{'consumed':>10}"
    for client in ALL:
        produced, consumed = counts[client.name]
        yield (f"{client.name:<18}{client.version:<12}"
               f"{produced:>10}{consumed:>10}")


def plain_records(name, count):
    """Records that every client can write and read, kcat too."""
    headers = [[("client", name.encode()), ("set", b"one")],
               [("client", name.encode()), ("set", "zwei \u00fc".encode())]]
    return [Record(f"{name}-{i % 7}".encode(),
                   f"{name} says {i} ".encode() + b"x" * (i * 37 % 300),
                   headers[i >= count // 2]) for i in range(count)]


def odd_records(client):
    """Bytes that are no text, nothing at all, names that repeat."""
    every = bytes(range(256))
    records = [
        Record(None, b"no key", []),
        Record(b"tombstone", None, []),
        Record(b"empty", b"", []),
        Record(every, every * 400, [("bytes", every)]),
        Record(b"twice", b"-", [("n", b"1"), ("n", b"2"), ("m", b"3")]),
        Record("\u00e9".encode(), "\u2603".encode(),
               [("\u2603", "\U0001f600".encode()), ("empty", b"")]),
    ]
    if client.null_headers:
        records.append(Record(b"null", b"-", [("null", None)]))
    return records
