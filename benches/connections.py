#!/usr/bin/env python3
"""What clients cost a gmetad, through the real program.

    benches/connections.py PROGRAM crowd     1,000 idle and 200 unread clients of one address: how long
                                             another client of that address waits, with and without them
    benches/connections.py PROGRAM leave     100,000 connections of every kind, one after the other:
                                             descriptors and memory before and after

Each is a minute or two, on loopback. Needs no other program.
"""

import os
import random
import resource
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

HOSTS = 4000
QUESTION = b"/c/host-7\n"


def document():
    metric = (
        '<METRIC NAME="metric_%d" VAL="%d" TYPE="uint32" UNITS="" TN="1" TMAX="1000" DMAX="0" '
        'SLOPE="both"/>\n'
    )
    hosts = "".join(
        f'<HOST NAME="host-{host}" IP="10.0.0.1" TN="1" TMAX="1000" DMAX="0">\n'
        + "".join(metric % (number, host) for number in range(12))
        + "</HOST>\n"
        for host in range(HOSTS)
    )
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<GANGLIA_XML VERSION="3.7.2" SOURCE="gmond">\n'
        f'<CLUSTER NAME="c" LOCALTIME="{int(time.time())}">\n{hosts}</CLUSTER>\n</GANGLIA_XML>\n'
    ).encode()


def serve_one_source():
    """Serves the document to whoever connects; returns the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    text = document()

    def serve():
        while True:
            stream, _ = listener.accept()
            with stream:
                stream.sendall(text)

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


class Gmetad:
    """A gmetad in the foreground with one large source."""

    def __init__(self, program, folder):
        conf = os.path.join(folder, "gmetad.conf")
        with open(conf, "w", encoding="ascii") as file:
            file.write(
                f"data_source s 3600 127.0.0.1:{serve_one_source()}\nwrite_rrds off\nsetuid off\n"
                "bind_address 127.0.0.1\nxml_port 0\ninteractive_port 0\n"
            )
        log = open(os.path.join(folder, "log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen([program, "-f", "-c", conf], stderr=log)
        while "interactive 127.0.0.1:" not in open(log.name, encoding="utf-8").read():
            time.sleep(0.05)
        text = open(log.name, encoding="utf-8").read()
        self.address = ("127.0.0.1", int(text.split("interactive 127.0.0.1:")[1].split()[0]))
        while b'"host-7"' not in self.ask(QUESTION):
            time.sleep(0.1)

    def connect(self):
        return socket.create_connection(self.address, timeout=60)

    def ask(self, request):
        with self.connect() as stream:
            stream.sendall(request)
            parts = []
            while part := stream.recv(1 << 16):
                parts.append(part)
        return b"".join(parts)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident_kb(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmRSS:"))
        return int(line.split()[1])


def times_ms(gmetad, count):
    times = []
    for _ in range(count):
        start = time.perf_counter()
        answer = gmetad.ask(QUESTION)
        times.append((time.perf_counter() - start) * 1000)
        assert answer.endswith(b"</GANGLIA_XML>\n"), answer[-100:]
    times.sort()
    return statistics.median(times), times[count * 99 // 100]


def crowd(gmetad):
    count = 2000
    print("%d questions, median and 99 of 100:" % count)
    print("  alone                  %.3f ms  %.3f ms" % times_ms(gmetad, count))
    idle = [gmetad.connect() for _ in range(1000)]
    unread = [gmetad.connect() for _ in range(200)]
    for stream in unread:
        stream.sendall(b"/c\n")
    # Until the system takes no more for those who do not read. The idle leave after 10 s only.
    time.sleep(2)
    print("  beside 1,000 and 200   %.3f ms  %.3f ms" % times_ms(gmetad, count))
    print("  descriptors of gmetad: %d" % gmetad.descriptors())
    del idle, unread


def leave_somehow(gmetad, chance):
    with gmetad.connect() as stream:
        kind = chance.randrange(6)
        if kind == 0:
            return
        if kind == 1:
            stream.sendall(b"/c/ho")
        elif kind == 2:
            stream.sendall(QUESTION)
            while stream.recv(1 << 16):
                pass
        elif kind == 3:
            stream.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            while stream.recv(1 << 16):
                pass
        elif kind == 4:
            # Not read, and reset.
            stream.sendall(b"/c\n")
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            stream.sendall(b"GET /metrics?scope=all HTTP/1.0\r\n\r\n")
            stream.recv(1000)


def leave(gmetad, total=100_000, at_once=4):
    # Until every kind has come by, memory still grows.
    before = None
    for part in (total // 10, total):

        def run(seed, part=part):
            chance = random.Random(seed)
            for _ in range(part // at_once):
                try:
                    leave_somehow(gmetad, chance)
                except ConnectionError:
                    pass

        threads = [threading.Thread(target=run, args=(seed,)) for seed in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Longer than a client may be idle.
        time.sleep(12)
        after = (gmetad.descriptors(), gmetad.resident_kb())
        if before:
            print("%d connections" % total)
            print("  descriptors  %d before, %d after" % (before[0], after[0]))
            print("  memory       %d KB before, %d KB after" % (before[1], after[1]))
        before = after


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in ("crowd", "leave"):
        sys.exit(__doc__)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        gmetad = Gmetad(sys.argv[1], folder)
        try:
            {"crowd": crowd, "leave": leave}[sys.argv[2]](gmetad)
        finally:
            gmetad.process.terminate()
            gmetad.process.wait()


main()
