"""The few requests that the runner itself makes, as bytes."""
import socket
import struct
import time

API_VERSIONS, METADATA, CREATE_TOPICS, DELETE_TOPICS = 18, 3, 19, 20


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def ask(port, key, version, body=b"", timeout=30):
    """Sends one request, gives the answer without its header."""
    request = struct.pack(">hhih", key, version, 1, -1) + body
    with socket.create_connection(("127.0.0.1", port), timeout) as s:
        s.settimeout(timeout)
        s.sendall(struct.pack(">i", len(request)) + request)
        answer = b""
        while len(answer) < 4 or len(answer) < 4 + size:
            got = s.recv(65536)
            if not got:
                raise ConnectionError(f"request {key} was not answered")
            answer += got
            size = struct.unpack_from(">i", answer)[0]
        return answer[8:]


def first_answer(port, started, limit_s=60):
    """Milliseconds from started to the first answer, asked without a pause."""
    while True:
        try:
            ask(port, API_VERSIONS, 0, timeout=1)
            return (time.monotonic() - started) * 1e3
        except OSError:
            if time.monotonic() - started > limit_s:
                raise
            time.sleep(0.0002)


def auto_create(port, topic):
    """Asks for the topic until it has a leader."""
    for _ in range(100):
        answer = ask(port, METADATA, 1, struct.pack(">i", 1) + text(topic))
        if struct.pack(">h", 0) + text(topic) in answer:
            return
        time.sleep(0.05)
    raise TimeoutError(f"topic {topic} has no leader")


def create_topic(port, topic, configs):
    body = struct.pack(">i", 1) + text(topic) + struct.pack(">ihii", 1, 1, 0,
                                                            len(configs))
    for name, value in configs.items():
        body += text(name) + text(value)
    answer = ask(port, CREATE_TOPICS, 2, body + struct.pack(">i?", 30000, 0))
    code = struct.unpack_from(">h", answer, 8 + len(text(topic)))[0]
    if code:
        raise RuntimeError(f"topic {topic} was not made: error {code}")


def delete_topic(port, topic):
    body = struct.pack(">i", 1) + text(topic) + struct.pack(">i", 30000)
    ask(port, DELETE_TOPICS, 1, body)
