#!/usr/bin/env python3
"""What a poll costs beside the least that it can: connecting, reading to the end and throwing away.

Usage: benches/floor.py [--seconds N] [--interval N] [--hosts N] [GMETAD...] (after `cargo build --release
--examples`)

Several gmetads, such as one from before a change, poll the same farm at the same time: 10 sources, 1,000
hosts (`--hosts`), 33 metrics each. No RRD files. CPU is the kernel's, of each process with its threads.
"""

import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

METRICS = 33
EXAMPLES = os.path.join(os.path.dirname(__file__), "../target/release/examples")
CONF = """setuid off
bind_address 127.0.0.1
xml_port 0
interactive_port 0
write_rrds off
"""


def cpu_us(pid):
    used = 0.0
    for task in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(task, encoding="ascii") as file:
            used += int(file.read().split()[0]) / 1e3
    return used


def start(folder, number, program, sources):
    """A gmetad: its process, and its interactive port."""
    conf, log = f"{folder}/{number}.conf", f"{folder}/{number}.log"
    with open(conf, "w", encoding="ascii") as file:
        file.write(CONF + sources)
    with open(log, "w", encoding="ascii") as file:
        process = subprocess.Popen([program, "-f", "-c", conf], stdout=file, stderr=file)
    while True:
        with open(log, encoding="utf-8") as file:
            port = re.search(r"interactive \S+:(\d+)\n", file.read())
        if port:
            return process, int(port[1])
        if process.poll() is not None:
            sys.exit(f"floor: {program} has ended; {log}")
        time.sleep(0.1)


def polls(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        page = answer.read().decode()
    counts = re.findall(r'gmetad_source_polls_total{[^}]*result="ok"} (\S+)', page)
    return sum(float(count) for count in counts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--interval", type=int, default=15)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--examples", default=EXAMPLES)
    parser.add_argument("gmetad", nargs="*", default=["target/release/gmetad"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        conf = f"{folder}/sources"
        shape = ["--clusters", "10", "--hosts", str(options.hosts // 10)]
        shape += ["--interval", str(options.interval), "--conf", conf]
        children = [subprocess.Popen([f"{options.examples}/farm", *shape], stderr=subprocess.DEVNULL)]
        try:
            while not os.path.exists(conf) or not os.path.getsize(conf):
                time.sleep(0.1)
            with open(conf, encoding="ascii") as file:
                sources = file.read()
            daemons = []
            for number, program in enumerate(options.gmetad):
                daemons.append(start(folder, number, program, sources))
                children.append(daemons[-1][0])
            ports = re.findall(r"127\.0\.0\.1:(\d+)", sources)
            children.append(subprocess.Popen([f"{options.examples}/floor", str(options.interval), *ports]))
            least = children[-1].pid
            # The first documents are all new.
            time.sleep(2.5 * options.interval)
            before, polled = [cpu_us(process.pid) for process, _ in daemons], [polls(port) for _, port in daemons]
            begin, start_us = time.monotonic(), cpu_us(least)
            time.sleep(options.seconds)
            rounds = (time.monotonic() - begin) / options.interval
            base = (cpu_us(least) - start_us) / (rounds * options.hosts * METRICS)
            print(f"| CPU per metric polled | | against the floor |\n|---|---|---|\n| floor | {base:.3f} µs | |")
            for number, (process, port) in enumerate(daemons):
                documents = polls(port) - polled[number]
                metrics = documents * options.hosts / 10 * METRICS
                each = (cpu_us(process.pid) - before[number]) / metrics
                print(f"| {options.gmetad[number]} | {each:.3f} µs | {each / base:.2f} |")
        finally:
            for child in reversed(children):
                child.terminate()
                child.wait()


if __name__ == "__main__":
    main()
