"""The line format of the drivers (README.md), for those in Python."""
import base64
import signal
import sys
import threading

TALKING = threading.Lock()


def pack(data):
    """Bytes or None as a field."""
    return "-" if data is None else base64.b64encode(data).decode()


def unpack(field):
    return None if field == "-" else base64.b64decode(field)


def pack_headers(headers):
    """(name, bytes or None) pairs as a field."""
    return ",".join(
        pack(n.encode()) + ":" + pack(v) for n, v in headers or [])


def unpack_headers(field):
    pairs = [h.split(":") for h in field.split(",") if h]
    return [(unpack(n).decode(), unpack(v)) for n, v in pairs]


def say(*fields):
    """Prints a line, whole even where two threads print."""
    line = "\t".join("-" if f is None else str(f) for f in fields) + "\n"
    with TALKING:
        sys.stdout.write(line)
        sys.stdout.flush()


def records_in():
    """The records on stdin: (partition or None, key, value, headers)."""
    for line in sys.stdin:
        partition, key, value, headers = line.rstrip("\n").split("\t")
        yield (None if partition == "-" else int(partition), unpack(key),
               unpack(value), unpack_headers(headers))


def record_out(partition, offset, timestamp, key, value, headers):
    say(partition, offset, timestamp, pack(key), pack(value),
        pack_headers(headers))


class Group:
    """What a group member prints, and when it is to end."""

    def __init__(self, options):
        self.left = int(options.get("count", 1 << 62))
        self.ended = False
        self.shown = None
        signal.signal(signal.SIGTERM, self.end)

    def end(self, *_):
        self.ended = True

    def assigned(self, partitions):
        """Tells the partitions that are now ours, if they changed."""
        partitions = sorted(partitions)
        if partitions != self.shown:
            self.shown = partitions
            say("assigned", ",".join(map(str, partitions)))

    def record(self, partition, offset, value):
        say("record", partition, offset, pack(value))
        self.left -= 1

    def committed(self):
        say("committed")
        self.ended = self.ended or self.left <= 0


def main(driver):
    """Runs one verb of `driver`, an object with a method for each."""
    verb, args = sys.argv[1], sys.argv[2:]
    plain = [a for a in args if "=" not in a]
    options = dict(a.split("=", 1) for a in args if "=" in a)
    getattr(driver, verb)(*plain, **({"options": options} if verb in (
        "produce", "consume", "group") else {}))
