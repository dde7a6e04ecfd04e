#!/usr/bin/env python3
"""Finds out which functions of a release run at a start, at polls, while values are stored and served, and
has the linker put them side by side: .cargo/link/often.ld, which build.rs hands to the linker.

Usage: benches/often.py [GMETAD [FARM]], of a release build. Needs valgrind, and takes four minutes, as some
things are done every three. What is not listed there, or named otherwise meanwhile, is linked as ever; so this
is run again once much has changed.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

GMETAD = sys.argv[1] if len(sys.argv) > 1 else "target/release/gmetad"
FARM = sys.argv[2] if len(sys.argv) > 2 else "target/release/examples/farm"
SCRIPT = ".cargo/link/often.ld"
POLLS = 100
INTERVAL_SECS = 2
# What is left out of a longer name may name other functions too, which is no harm.
LONGEST = 90
CONF = """setuid_username {user}
xml_port {xml}
interactive_port {interactive}
rrd_rootdir {folder}/rrds
"""
HEAD = """/* What runs at a start and at each poll, side by side: the system maps a program's file 64 KiB at a time, so
   that little of all else is in memory. Made by benches/often.py. */
SECTIONS
{
  .text.often : {
    *(
"""
TAIL = """    )
  }
}
INSERT AFTER .text;
"""


def ports():
    """Two that are free: the system's choice, which is given back."""
    with socket.socket() as one, socket.socket() as other:
        for it in (one, other):
            it.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def ask(port, request=b""):
    try:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(request)
            return b"".join(iter(lambda: client.recv(1 << 16), b""))
    except OSError:
        return b""


def page(path):
    return f"GET {path} HTTP/1.0\r\n\r\n".encode()


def polls(interactive):
    told = re.search(rb'polls_total\{[^}]*result="ok"\} (\d+)', ask(interactive, page("/metrics")))
    return int(told[1]) if told else 0


def run(folder):
    """A run under callgrind; the mangled names of all functions that ran."""
    subprocess.check_call(["mkdir", f"{folder}/rrds"])
    sources, seen = f"{folder}/sources", f"{folder}/callgrind"
    options = ["--clusters", "1", "--hosts", "1", "--interval", str(INTERVAL_SECS), "--conf", sources]
    with subprocess.Popen([FARM, *options], stderr=subprocess.DEVNULL) as farm:
        try:
            while not os.path.exists(sources) or not os.path.getsize(sources):
                time.sleep(0.01)
            xml, interactive = ports()
            user = subprocess.check_output(["id", "-un"], text=True).strip()
            conf = f"{folder}/gmetad.conf"
            with open(conf, "w", encoding="ascii") as file:
                file.write(CONF.format(user=user, xml=xml, interactive=interactive, folder=folder))
                with open(sources, encoding="ascii") as lines:
                    file.write(lines.read())
            valgrind = ["valgrind", "--tool=callgrind", "--demangle=no", f"--callgrind-out-file={seen}"]
            with subprocess.Popen([*valgrind, GMETAD, "-f", "-c", conf], stderr=subprocess.DEVNULL) as gmetad:
                while polls(interactive) < POLLS:
                    if gmetad.poll() is not None:
                        sys.exit("often: gmetad has ended by itself")
                    ask(xml)
                    time.sleep(INTERVAL_SECS)
                for request in (b"/\n", b"/?filter=summary\n", *map(page, ("/healthz", "/status", "/api/v1/"))):
                    ask(interactive, request)
                for number in (signal.SIGUSR1, signal.SIGHUP):
                    gmetad.send_signal(number)
                seen_polls = polls(interactive)
                while polls(interactive) < seen_polls + 2:
                    time.sleep(1)
                gmetad.terminate()
        finally:
            farm.terminate()
    with open(seen, encoding="utf-8") as file:
        return set(re.findall(r"^c?fn=\(\d+\) ([^'\n]+)", file.read(), re.MULTILINE))


def pattern(name):
    """The name of a function whatever hashes a compiler puts into it, and no longer than it has to be."""
    if name.startswith("_R"):
        name = re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", name) + "*"
    else:
        name = re.sub(r"17h[0-9a-f]{16}E.*$", "17h*", name)
    return name if len(name) <= LONGEST else name[:LONGEST] + "*"


def main():
    with tempfile.TemporaryDirectory() as folder:
        ran = run(folder)
    listed = subprocess.check_output(["nm", "--defined-only", GMETAD], text=True)
    own = set(re.findall(r" [tT] (\S+)$", listed, re.MULTILINE))
    patterns = sorted({pattern(name) for name in ran & own})
    with open(SCRIPT, "w", encoding="ascii") as file:
        file.write(HEAD)
        for name in patterns:
            # What rarely runs is in a section `.text.unlikely.NAME`.
            file.write(f".text*.{name}\n")
        file.write(TAIL)
    print(f"{len(ran & own)} functions ran; {len(patterns)} names are in {SCRIPT}")


if __name__ == "__main__":
    main()
