#!/usr/bin/env python3
"""What one gmond of 33 metrics costs at rest: ours, and C gmetad where it is installed, side by side.

Usage: benches/footprint.py [GMETAD [FARM]]. FOOTPRINT_SECONDS=N, 300 by default, is how long both run.
Both poll the same source every 15 s and write RRD files. Processor time and wakeups (voluntary context
switches) are those of the run after its first 30 s; memory is that at its end. The start is the median of
20: from exec until a client has read an answer with the source's host in it.
"""

import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

GMETAD = sys.argv[1] if len(sys.argv) > 1 else "target/release/gmetad"
FARM = sys.argv[2] if len(sys.argv) > 2 else "target/release/examples/farm"
SECONDS = int(os.environ.get("FOOTPRINT_SECONDS", "300"))
SETTLE_SECONDS = 30
STARTS = 20
PEER = shutil.which("gmetad", path="/usr/sbin:/usr/local/sbin")
CONF = """setuid_username {user}
xml_port {xml}
interactive_port {interactive}
rrd_rootdir {folder}/rrds
"""


def free_port():
    """C gmetad takes no port 0. Below those of outgoing connections, so that none takes it meanwhile."""
    for port in range(20000 + os.getpid() % 10000, 32000):
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    sys.exit("footprint: no port from 20000 to 32000 is free")


class Daemon:
    """One gmetad with a folder of its own."""

    def __init__(self, program, sources, place):
        self.folder = tempfile.mkdtemp(dir=place)
        os.mkdir(f"{self.folder}/rrds")
        self.xml, interactive = free_port(), None
        # Held while the second is looked for, which would be the same.
        with socket.socket() as held:
            held.bind(("127.0.0.1", self.xml))
            interactive = free_port()
        user = subprocess.check_output(["id", "-un"], text=True).strip()
        conf = f"{self.folder}/gmetad.conf"
        with open(conf, "w", encoding="ascii") as file:
            file.write(CONF.format(folder=self.folder, user=user, xml=self.xml, interactive=interactive))
            file.write(sources)
        # C gmetad stays in the foreground from debug level 2 on only, and is costlier then, so it goes
        # to the background as in use; -f is ours.
        self.pid_file = f"{self.folder}/pid"
        self.started = time.monotonic()
        if program == PEER:
            subprocess.check_call([program, "-c", conf, "-p", self.pid_file])
            self.process = None
        else:
            self.process = subprocess.Popen(
                [program, "-f", "-c", conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )

    def pid(self):
        if self.process:
            return self.process.pid
        with open(self.pid_file, encoding="ascii") as file:
            return int(file.read())

    def served_ms(self):
        """Waits until a client is answered with the host."""
        while time.monotonic() < self.started + 60:
            try:
                with socket.create_connection(("127.0.0.1", self.xml)) as client:
                    answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
            except OSError:
                answer = b""
            if b"<METRIC " in answer:
                return (time.monotonic() - self.started) * 1e3
            time.sleep(0.0002)
        sys.exit("footprint: no answer within a minute")

    def end(self):
        pid = self.pid()
        os.kill(pid, 15)
        if self.process:
            self.process.wait()
        while os.path.exists(f"/proc/{pid}"):
            time.sleep(0.01)


def status(path):
    with open(path, encoding="ascii") as file:
        return dict(line.split(":", 1) for line in file)


def tasks(pid):
    return [f"/proc/{pid}/task/{task}" for task in os.listdir(f"/proc/{pid}/task")]


def used(pid):
    """Processor time in ms and voluntary context switches of all threads so far."""
    cpu, switches = 0, 0
    for task in tasks(pid):
        with open(f"{task}/schedstat", encoding="ascii") as file:
            cpu += int(file.read().split()[0])
        switches += int(status(f"{task}/status")["voluntary_ctxt_switches"])
    return cpu / 1e6, switches


def size_mb(program, place):
    """Of the stripped program, and how many libraries it loads."""
    stripped = f"{place}/stripped"
    subprocess.check_call(["strip", "-o", stripped, program])
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return os.path.getsize(stripped) / 1e6, len(re.findall(r"=>", listed.stdout))


def measure(programs, sources, place):
    figures = {}
    for name, program in programs.items():
        size, libraries = size_mb(program, place)
        starts = []
        for _ in range(STARTS):
            daemon = Daemon(program, sources, place)
            starts.append(daemon.served_ms())
            daemon.end()
        figures[name] = [f"{size:.2f} MB + {libraries} libraries", f"{statistics.median(starts):.1f} ms"]
    daemons = {}
    for name, program in programs.items():
        daemons[name] = Daemon(program, sources, place)
        # It has its ports before the next one looks for some.
        daemons[name].served_ms()
    time.sleep(SETTLE_SECONDS)
    before = {name: used(daemon.pid()) for name, daemon in daemons.items()}
    time.sleep(SECONDS)
    for name, daemon in daemons.items():
        pid = daemon.pid()
        cpu, switches = (now - then for now, then in zip(used(pid), before[name]))
        memory = status(f"/proc/{pid}/status")
        resident, anonymous = (int(memory[row].split()[0]) / 1024 for row in ("VmRSS", "RssAnon"))
        figures[name] += [
            f"{resident:.1f} / {anonymous:.1f} MB",
            str(len(tasks(pid))),
            f"{switches / SECONDS:.2f}",
            f"{cpu * 300 / SECONDS:.1f} ms",
        ]
        daemon.end()
    return figures


def main():
    if SECONDS < 1:
        sys.exit("footprint: FOOTPRINT_SECONDS is a number of seconds from 1 on")
    programs = {"gmetad": GMETAD}
    if PEER:
        programs = {"C gmetad": PEER, **programs}
    else:
        print("footprint: C gmetad is not installed (package gmetad), so it is left out", file=sys.stderr)
    with tempfile.TemporaryDirectory() as place:
        conf = f"{place}/sources"
        options = ["--clusters", "1", "--hosts", "1", "--interval", "15", "--conf", conf]
        farm = subprocess.Popen([FARM, *options], stderr=subprocess.DEVNULL)
        try:
            while not os.path.exists(conf) or not os.path.getsize(conf):
                time.sleep(0.01)
            with open(conf, encoding="ascii") as file:
                figures = measure(programs, file.read(), place)
        finally:
            farm.terminate()
            farm.wait()
    rows = [
        "stripped",
        "start to served",
        "resident / anonymous",
        "threads",
        "wakeups a second",
        "CPU in 300 s",
    ]
    print(f"| one gmond of 33 metrics, 15 s | {' | '.join(figures)} |")
    print("|---" * (len(figures) + 1) + "|")
    for row, cells in zip(rows, zip(*figures.values())):
        print(f"| {row} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
