"""Record batches of version 2, made and taken apart, and what is on disk."""
import gzip
import pathlib
import struct
import time

import crc32c

from wire import Reader, varint

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
TRANSACTIONAL = 0x10
HEAD = ">qiiBIhiqqqhii"  # base offset ... count
HEAD_SIZE = struct.calcsize(HEAD)


def zigzag(n):
    return varint(n << 1 if n >= 0 else (-n << 1) - 1)


def field(data):
    return zigzag(-1) if data is None else zigzag(len(data)) + data


def record(delta, key, value, headers=(), timestamp_delta=0):
    body = b"\0" + zigzag(timestamp_delta) + zigzag(delta) + field(key)
    body += field(value) + zigzag(len(headers))
    for name, data in headers:
        body += field(name.encode()) + field(data)
    return zigzag(len(body)) + body


def batch(values, *, producer=(-1, -1, -1), timestamp=None,
          attributes=0, base=0, count=None, crc=None, magic=2, gzipped=False,
          key=None):
    """A batch of values without headers. `producer` is (id, epoch, first
    sequence). What is given beyond that makes it wrong on purpose."""
    if timestamp is None:
        timestamp = time.time_ns() // 1_000_000
    body = b"".join(record(i, key, v) for i, v in enumerate(values))
    if gzipped:
        attributes |= CODECS["gzip"]
        body = gzip.compress(body)
    n = len(values) if count is None else count
    tail = struct.pack(">hiqqqhii", attributes, n - 1, timestamp, timestamp,
                       *producer, n) + body
    if crc is None:
        crc = crc32c.crc32c(tail)
    return struct.pack(">qiiBI", base, len(tail) + 9, 0, magic, crc) + tail


class Batch:
    """The header of a batch, and the bytes of its records."""

    def __init__(self, data):
        (self.base, length, self.epoch, self.magic, self.crc, self.attributes,
         self.last_delta, self.first_timestamp, self.max_timestamp,
         self.producer_id, self.producer_epoch, self.sequence,
         self.count) = struct.unpack_from(HEAD, data)
        self.size = 12 + length
        self.body = data[HEAD_SIZE:self.size]
        self.intact = (self.size <= len(data) and
                       crc32c.crc32c(data[21:self.size]) == self.crc)

    @property
    def codec(self):
        return self.attributes & 7

    def records(self):
        """(offset, key, value) of each record; gzip or no compression."""
        body = gzip.decompress(self.body) if self.codec == 1 else self.body
        reader = Reader(body)
        for _ in range(self.count):
            end = reader.zigzag() + reader.at
            reader.take(1)
            reader.zigzag()
            offset = self.base + reader.zigzag()
            fields = []
            for _ in range(2):
                n = reader.zigzag()
                fields.append(None if n < 0 else reader.take(n))
            reader.at = end
            yield offset, *fields


def batches(data):
    """The whole batches of a byte string, in order."""
    at = 0
    while at + HEAD_SIZE <= len(data):
        one = Batch(data[at:])
        if at + one.size > len(data):
            return
        yield one
        at += one.size


def on_disk(log_dir, topic, partition=0):
    """The batches of a partition's segment files, in order."""
    folder = pathlib.Path(log_dir) / f"{topic}-{partition}"
    return [b for path in sorted(folder.glob("*.log"))
            for b in batches(path.read_bytes())]
