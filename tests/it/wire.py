"""A Kafka client of our own, for what real clients never send.

It reads schema/wire/*.wire and so speaks every message in every version, as
dictionaries by field name. Nothing is checked or retried: a test sends what
it likes and looks at what comes back. No code is shared with the broker.
"""
import pathlib
import re
import socket
import struct
import uuid

SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "schema" / "wire"
INTS = {"int8": "b", "int16": "h", "uint16": "H", "int32": "i", "int64": "q",
        "float64": "d", "bool": "?"}
PLAIN = {*INTS, "uuid", "string", "bytes", "records"}
NO_UUID = uuid.UUID(int=0)


class Span:
    """A range of versions: 3+, 0-5, 2, or none."""

    def __init__(self, text):
        low, _, high = text.rstrip("+").partition("-")
        self.low = int(low) if low.isdigit() else 1 << 15
        self.high = (1 << 15 if text.endswith("+")
                     else int(high or low) if self.low < 1 << 15 else -1)

    def __contains__(self, version):
        return self.low <= version <= self.high


class Field:
    """One field of a message; `fields` where it is a structure."""

    def __init__(self, line, known):
        self.name, kind, versions, *words = re.match(
            r"(\w+): (\S+) (\S+)(.*)", line).groups()
        options = dict(re.findall(r'(\w+)=("[^"]*"|\S+)', words[0]))
        self.many = kind.startswith("[]")
        self.kind = kind.removeprefix("[]")
        self.versions = Span(versions)
        self.null = Span(options.get("null", "none"))
        tag, _, since = options.get("tag", "").partition("@")
        self.tag = int(tag) if tag else None
        self.tagged = Span(since or "none")
        self.flexible = Span(options["flex"]) if "flex" in options else None
        self.fields = known.get(self.kind, [])
        self.default = self.read_default(options.get("def"))

    def read_default(self, text):
        if text == "null":
            return None
        if self.many:
            return []
        if text is not None and self.kind == "bool":
            return text == "true"
        if text is not None and self.kind in INTS:
            return float(text) if self.kind == "float64" else int(text, 0)
        if text is not None:
            return text.strip('"')
        if self.kind in INTS:
            return 0
        return {"string": "", "bytes": b"", "uuid": NO_UUID}.get(self.kind)


class Api:
    """A request and its response, as one file of the schema has them."""

    def __init__(self, path):
        self.trees = {}
        known, stack = {}, []
        for line in path.read_text().splitlines():
            word = line.strip()
            if line.startswith("api "):
                _, key, self.name, *rest = line.split()
                self.key = int(key)
                ranges = dict(r.split("=") for r in rest)
                self.served = Span(ranges.get("served", "none"))
                self.flexible = Span(ranges["flexible"])
            elif line in ("request", "response"):
                known, stack = {}, [(0, self.trees.setdefault(word, []))]
            elif word and not word.startswith("#"):
                depth = len(line) - len(line.lstrip())
                while stack[-1][0] >= depth:
                    stack.pop()
                if word.startswith("struct "):
                    fields = known.setdefault(word.split()[1], [])
                    stack.append((depth, fields))
                    continue
                field = Field(word, known)
                stack[-1][1].append(field)
                if field.kind not in PLAIN and not field.fields:
                    field.fields = known.setdefault(field.kind, [])
                    stack.append((depth, field.fields))


def load():
    apis = {}
    for path in SCHEMA.glob("*.wire"):
        if re.search(r"^api \d", path.read_text(), re.M):
            api = Api(path)
            apis[api.name] = api
    return apis


APIS = load()


def varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def length(n, flexible, short=False):
    """The length of something, or of null where n is -1."""
    if flexible:
        return varint(n + 1)
    return struct.pack(">h" if short else ">i", n)


def encode_one(field, value, version, flexible):
    kind = field.kind
    if kind in INTS:
        return struct.pack(">" + INTS[kind], value)
    if kind == "uuid":
        return value.bytes
    if kind == "string":
        if value is None:
            return length(-1, flexible, True)
        data = value.encode()
        return length(len(data), flexible, True) + data
    if kind in ("bytes", "records"):
        if value is None:
            return length(-1, flexible)
        return length(len(value), flexible) + value
    return encode(field.fields, value, version, flexible)


def encode_field(field, value, version, flexible):
    if field.many:
        if value is None:
            return length(-1, flexible)
        return length(len(value), flexible) + b"".join(
            encode_one(field, v, version, flexible) for v in value)
    if field.fields and field.null.low < 1 << 15:
        if value is None:
            return b"\xff"
        return b"\x01" + encode_one(field, value, version, flexible)
    return encode_one(field, value, version, flexible)


def encode(fields, values, version, flexible):
    values = values or {}
    extra = set(values) - {f.name for f in fields}
    if extra:
        raise KeyError(f"no such field: {extra}")
    out, tags = b"", []
    for field in fields:
        if version not in field.versions:
            continue
        value = values.get(field.name, field.default)
        as_flexible = flexible and (
            field.flexible is None or version in field.flexible)
        if flexible and field.tag is not None and version in field.tagged:
            if value != field.default:
                tags.append((field.tag, encode_field(
                    field, value, version, as_flexible)))
        else:
            out += encode_field(field, value, version, as_flexible)
    if flexible:
        out += varint(len(tags))
        for tag, data in sorted(tags):
            out += varint(tag) + varint(len(data)) + data
    return out


class Short(Exception):
    """A message ends before its last field."""


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if n < 0 or self.at + n > len(self.data):
            raise Short(f"{n} bytes wanted at {self.at} of {len(self.data)}")
        self.at += n
        return self.data[self.at - n:self.at]

    def unpack(self, form):
        return struct.unpack(">" + form, self.take(struct.calcsize(form)))[0]

    def varint(self):
        n = shift = 0
        while True:
            byte = self.take(1)[0]
            n |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return n

    def zigzag(self):
        n = self.varint()
        return n >> 1 ^ -(n & 1)

    def length(self, flexible, short=False):
        return self.varint() - 1 if flexible else self.unpack(
            "h" if short else "i")


def decode_one(field, reader, version, flexible):
    kind = field.kind
    if kind in INTS:
        return reader.unpack(INTS[kind])
    if kind == "uuid":
        return uuid.UUID(bytes=reader.take(16))
    if kind in ("string", "bytes", "records"):
        n = reader.length(flexible, kind == "string")
        if n < 0:
            return None
        data = reader.take(n)
        return data.decode() if kind == "string" else data
    return decode(field.fields, reader, version, flexible)


def decode_field(field, reader, version, flexible):
    if field.many:
        n = reader.length(flexible)
        return None if n < 0 else [
            decode_one(field, reader, version, flexible) for _ in range(n)]
    if field.fields and field.null.low < 1 << 15 and reader.unpack("b") < 0:
        return None
    return decode_one(field, reader, version, flexible)


def decode(fields, reader, version, flexible):
    values, by_tag = {}, {}
    for field in fields:
        if version not in field.versions:
            continue
        if flexible and field.tag is not None and version in field.tagged:
            by_tag[field.tag] = field
            values[field.name] = field.default
        else:
            values[field.name] = decode_field(
                field, reader, version, flexible and (
                    field.flexible is None or version in field.flexible))
    if flexible:
        for _ in range(reader.varint()):
            tag = reader.varint()
            data = Reader(reader.take(reader.varint()))
            if tag in by_tag:
                field = by_tag[tag]
                values[field.name] = decode_field(field, data, version, True)
    return values


class Closed(Exception):
    """The broker ended the connection."""


class Connection:
    """One connection. `call` asks and waits; `send` and `receive` pipeline."""

    def __init__(self, bootstrap, timeout=20, client_id="raw"):
        host, _, port = bootstrap.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client_id = client_id
        self.correlation = 0
        self.size = 0  # of the last answer, its length field not counted
        self.received = 0  # bytes of all answers

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def frame(self, name, version, **values):
        """A whole request with its length; counts the correlation id up."""
        api = APIS[name]
        flexible = version in api.flexible
        self.correlation += 1
        client_id = self.client_id.encode()
        head = struct.pack(">hhih", api.key, version, self.correlation,
                           len(client_id)) + client_id
        body = encode(api.trees["request"], values, version, flexible)
        whole = head + (b"\0" if flexible else b"") + body
        return struct.pack(">i", len(whole)) + whole

    def send(self, name, version, **values):
        self.socket.sendall(self.frame(name, version, **values))
        return self.correlation

    def read(self, n):
        data = bytearray()
        while len(data) < n:
            try:
                more = self.socket.recv(n - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                raise Closed(f"closed after {len(data)} of {n} bytes")
            data += more
        return bytes(data)

    def receive_frame(self):
        """(correlation id, the bytes after it)."""
        self.size = struct.unpack(">i", self.read(4))[0]
        data = self.read(self.size)
        self.received += 4 + self.size
        return struct.unpack(">i", data[:4])[0], data[4:]

    def receive(self, name, version, correlation=None):
        api = APIS[name]
        got, data = self.receive_frame()
        wanted = self.correlation if correlation is None else correlation
        assert got == wanted, f"answer {got} where {wanted} was next"
        reader = Reader(data)
        flexible = version in api.flexible
        if flexible and name != "ApiVersions":
            assert reader.varint() == 0, "tags in the header"
        values = decode(api.trees["response"], reader, version, flexible)
        assert reader.at == len(data), f"{len(data) - reader.at} bytes more"
        return values

    def call(self, name, version, **values):
        self.send(name, version, **values)
        return self.receive(name, version)

    def ended(self, seconds=10):
        """Whether the broker closes the connection, saying nothing more."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
