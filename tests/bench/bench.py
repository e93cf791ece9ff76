"""The series: each case's brokers take turns, so that what the machine does
meanwhile meets all of them; figures are compared within a turn only."""
import json
import os
import pathlib
import platform
import shutil
import signal
import statistics
import sys
import time

import brokers
from brokers import REFERENCE, Floor, Kafka, Tidemark
from cases import CASES, client, program

SHORT = os.environ.get("SHORT", "0") != "0"
PAIRS = int(os.environ.get("PAIRS", "1" if SHORT else "5"))
SCALE = float(os.environ.get("SCALE", "0.1" if SHORT else "1"))
BUSY = 0.5  # a load above this leaves its mark on the figures
NAMES = {"rate": "a second", "cpu_ns": "CPU ns each", "start_ms": "start, ms",
         "start_syncs": "syncs of a start", "sync_ms": "one sync, ms",
         "idle_rss_mb": "idle, MB", "idle_wakeups_s": "idle, wake-ups/s"}
WARM = ((100, 5_000_000), (1024, 1_000_000))


def short(value):
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if value >= limit * 10 or value >= limit and unit == "M":
            return f"{value / limit:.3g} {unit}"
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def spread(values):
    if len(values) == 1:
        return short(values[0])
    return (f"{short(statistics.median(values))} [{short(min(values))}.."
            f"{short(max(values))}]")


def kafka_or_none():
    """Kafka, warm; None where it is not wanted or cannot be had."""
    if SHORT or os.environ.get("KAFKA", "1") == "0":
        return None
    print("starting and warming Kafka", file=sys.stderr)
    try:
        kafka = Kafka()
    except RuntimeError as e:
        print(f"without Kafka: {e}", file=sys.stderr)
        return None
    for size, count in WARM:
        kafka.begin()
        client(kafka, [program("rdkafka_performance"), "-P", "-t",
                       kafka.topic, "-p", "0", "-b", kafka.boot, "-s",
                       str(size), "-c", str(count), "-a", "1", "-X",
                       "linger.ms=5"], count)
    kafka.end()
    return kafka


def series(case, kafka):
    """The runs of a case: a list of {broker: {figure: value}}."""
    members = [Floor(case.sync), Tidemark(case.sync)]
    if kafka and case.kafka:
        members.append(kafka)
        case.run(kafka, SCALE)  # not counted: warms this case's code
    runs = []
    try:
        for i in range(PAIRS):
            turn = {}
            for broker in members if i % 2 else reversed(members):
                turn[broker.name] = case.run(broker, SCALE)
                if not case.keeps:
                    broker.end()
            runs.append(turn)
    finally:
        for broker in members:
            broker.end()
    return runs


def ratios(runs, figure, beside):
    return [turn["tidemark"][figure] / turn[beside][figure] for turn in runs
            if beside in turn and turn[beside].get(figure)]


def lines_of(name, case, runs):
    """One line of the table for each figure of the case."""
    for figure in runs[0]["tidemark"]:
        line = {"case": name, "figure": figure, "runs": {}, "ratios": {},
                "goals": []}
        for broker in ("floor", "tidemark", "kafka"):
            if broker in runs[0]:
                line["runs"][broker] = [t[broker][figure] for t in runs]
        for beside in ("floor", "kafka"):
            found = ratios(runs, figure, beside)
            if found:
                line["ratios"][beside] = found
        for goal in case.goals:
            values = (line["ratios"].get(goal.beside) if goal.beside else
                      line["runs"]["tidemark"])
            if goal.figure != figure or not values:
                continue
            if goal.where and not goal.holds(
                    statistics.median(line["runs"][goal.where])):
                line["not_here"] = f"{goal}: {goal.where} does not reach it"
            else:
                line["goals"].append({
                    "text": str(goal),
                    "met": goal.holds(statistics.median(values))})
        yield line


def show(line):
    goals = "; ".join(f"{g['text']}: {'met' if g['met'] else 'NOT MET'}"
                      for g in line["goals"])
    goals = "; ".join(filter(None, (goals, line.get("not_here"))))
    cells = [f"{line['case']}, {NAMES[line['figure']]}"]
    cells += [spread(line["runs"][b]) if b in line["runs"] else "-"
              for b in ("floor", "tidemark", "kafka")]
    cells += [spread(line["ratios"][b]) if b in line["ratios"] else "-"
              for b in ("floor", "kafka")]
    print("| " + " | ".join(cells + [goals or "-"]) + " |", flush=True)


def save(lines):
    pathlib.Path(os.environ["RESULTS"]).write_text(json.dumps({
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": platform.platform(), "cores": os.cpu_count(),
        "load": os.getloadavg(), "pairs": PAIRS, "scale": SCALE,
        "fifo": brokers.FIFO, "lines": lines}, indent=1))


def main(names):
    unknown = [name for name in names if name not in CASES]
    if unknown:
        sys.exit(f"no case {unknown[0]}: there are {' '.join(CASES)}")
    load = os.getloadavg()[0]
    if load > BUSY:
        print(f"the machine is busy (load {load:.1f}): times and rates say "
              "little, ratios and CPU a little more", file=sys.stderr)
    kafka = kafka_or_none()
    lines, failures = [], 0
    print("| what | floor | tidemark | Kafka | / floor | / Kafka | goal |\n"
          "| --- | --- | --- | --- | --- | --- | --- |")
    try:
        for name in names or CASES:
            try:
                found = list(lines_of(name, CASES[name],
                                      series(CASES[name], kafka)))
            except Exception as e:  # the other cases still run
                print(f"| {name} | failed: {e} |")
                failures += 1
                continue
            for line in found:
                show(line)
            lines += found
            save(lines)
    finally:
        if kafka:
            kafka.close()
    print(f"median [least..most] of {PAIRS} runs; in each case the brokers "
          "take turns,\nand a ratio is that of one turn; all data is deleted")
    goals = [goal["met"] for line in lines for goal in line["goals"]]
    print(f"{sum(goals)} passed, {len(goals) - sum(goals) + failures} failed")
    return 0 if all(goals) and not failures else 1


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    try:
        os.nice(-10)
    except PermissionError:
        print("without priority: the figures spread more", file=sys.stderr)
    for left in (REFERENCE / "tmp").glob("*.*/"):
        shutil.rmtree(left)
    sys.exit(main(sys.argv[1:]))
