"""The driver of kcat, a program: what it reads and prints is translated.

kcat gives all records of a run the same headers and separates records by
bytes, so the input is cut into runs of equal headers, and keys and values
must be without the separators below.
"""
import itertools
import re
import signal
import subprocess
import sys
import threading

import lines

FIELD, RECORD = "\x1d", "\x1e"
FORMAT = "%p %o %T %K %S %h\n%k%s\n"
OPTIONS = {"codec": "compression.codec", "acks": "acks",
           "idempotent": "enable.idempotence", "linger_ms": "linger.ms",
           "session_ms": "session.timeout.ms",
           "heartbeat_ms": "heartbeat.interval.ms",
           "instance": "group.instance.id"}


def settings(options):
    values = {"idempotent": {"0": "false", "1": "true"}}
    return [arg for k, v in options.items() if k in OPTIONS
            for arg in ("-X", OPTIONS[k] + "=" + values.get(k, {}).get(v, v))]


def run(*args, data=None):
    done = subprocess.run(["kcat", *args], input=data, stdout=subprocess.PIPE)
    if done.returncode:
        sys.exit("kcat: status %d" % done.returncode)
    return done.stdout


def version():
    text = run("-V").decode()
    lines.say(re.search(r"Version ([0-9.]+)", text).group(1))


def produce(bootstrap, topic, options):
    def alike(record):
        return record[0], record[3]

    for (partition, headers), records in itertools.groupby(
            lines.records_in(), alike):
        records = list(records)
        args = ["-P", "-b", bootstrap, "-t", topic, "-K", FIELD, "-D", RECORD,
                "-Z", *settings(options)]
        if partition is not None:
            args += ["-p", str(partition)]
        for name, value in headers:
            args += ["-H", name + "=" + value.decode()]
        data = RECORD.join(
            ((key or b"") + FIELD.encode() + (value or b"")).decode()
            for _, key, value, _ in records)
        run(*args, data=data.encode())
        for _ in records:
            lines.say("-" if partition is None else partition, "-")


def parse(stream):
    """The records of a stream printed in FORMAT."""
    for line in iter(stream.readline, b""):
        fields = line.decode().rstrip("\n").split(" ", 5)
        partition, offset, timestamp, key_len, value_len = map(int, fields[:5])
        key = None if key_len < 0 else stream.read(key_len)
        value = None if value_len < 0 else stream.read(value_len)
        stream.readline()
        headers = [h.split("=", 1) for h in fields[5].split(",") if h]
        yield (partition, offset, timestamp, key, value,
               [(n, v.encode()) for n, v in headers])


def consume(bootstrap, topic, count, options):
    with subprocess.Popen(
            ["kcat", "-C", "-b", bootstrap, "-t", topic, "-o", "beginning",
             "-c", count, "-q", "-f", FORMAT], stdout=subprocess.PIPE) as kcat:
        for record in parse(kcat.stdout):
            lines.record_out(*record)
    if kcat.returncode:
        sys.exit("kcat: status %d" % kcat.returncode)


def group(bootstrap, topic, group, options):
    state = lines.Group(options)
    args = ["kcat", "-u", "-b", bootstrap, "-f", FORMAT, "-X",
            "auto.offset.reset=earliest", *settings(options)]
    if "count" in options:
        args += ["-c", options["count"]]
    args += ["-G", group, topic]
    with subprocess.Popen(args, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as kcat:
        signal.signal(signal.SIGTERM, lambda *_: kcat.terminate())
        threading.Thread(target=watch, args=(kcat.stderr, state)).start()
        for partition, offset, _, _, value, _ in parse(kcat.stdout):
            state.record(partition, offset, value)


def watch(stream, state):
    """Tells the assignments that kcat reports on stderr."""
    for line in stream:
        found = re.search(r"rebalanced \(.*\): (assigned|revoked): (.*)",
                          line.decode())
        if found:
            mine = re.findall(r"\[(\d+)\]", found.group(2))
            state.assigned([] if found.group(1) == "revoked"
                           else map(int, mine))


def offsets(bootstrap, topic, partition, timestamp):
    def query(when):
        out = run("-Q", "-b", bootstrap, "-t", f"{topic}:{partition}:{when}")
        return int(re.search(r"offset (-?\d+)", out.decode()).group(1))

    lines.say("beginning", query(-2))
    lines.say("end", query(-1))
    at = query(timestamp)
    lines.say("at", at)
    value = run("-C", "-b", bootstrap, "-t", topic, "-p", partition, "-o",
                str(at), "-c", "1", "-q", "-D", "")
    lines.say("seek", lines.pack(value))


def admin(bootstrap, what):
    for name in re.findall(r'topic "(.*?)"', run(
            "-L", "-b", bootstrap).decode()):
        lines.say(name)


if __name__ == "__main__":
    lines.main(sys.modules[__name__])
