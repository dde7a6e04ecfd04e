#!/usr/bin/env python3
"""Finds out which functions of a release run at a start, at polls, while values are stored and served, and
has the linker put them side by side: .cargo/link/often.ld, which build.rs hands to the linker.

Usage: benches/often.py [GMETAD [FARM]], of a release build. Needs valgrind, and takes four minutes, as some
things are done every three. What is not listed there, or named otherwise meanwhile, is linked as ever; so this
is run again once much has changed: each function that is not in the list can bring 64 KiB into memory.
"""

import os
import re
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
# No name in the list is shorter, unless the function's is: what a later version adds should not match it.
SHORTEST = 60
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


def poll_seen(xml):
    """The time of the gmond's document that is served, which is another one after each poll."""
    told = re.search(rb'<CLUSTER [^>]*LOCALTIME="(\d+)"', ask(xml))
    return told and told[1]


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
                seen_polls = set()
                while len(seen_polls) < POLLS:
                    if gmetad.poll() is not None:
                        sys.exit("often: gmetad has ended by itself")
                    seen_polls |= {poll_seen(xml)} - {None}
                    time.sleep(INTERVAL_SECS)
                for request in (b"/\n", b"/?filter=summary\n"):
                    ask(interactive, request)
                gmetad.terminate()
        finally:
            farm.terminate()
    with open(seen, encoding="utf-8") as file:
        return set(re.findall(r"^c?fn=\(\d+\) ([^'\n]+)", file.read(), re.MULTILINE))


def pattern(name):
    """The name of a function whatever the compiler's hashes of crates are, and where they move other parts to."""
    return re.sub(r"(Cs|B)[0-9A-Za-z]+_", r"\1*_", re.sub(r"\.(llvm\.)?\d+$", "", name))


def shortest(name, ran, own):
    """As much of that as no function needs that did not run; all of it, where one is named so too."""
    whole, least = pattern(name), SHORTEST
    while least < len(whole):
        start = re.compile(re.escape(whole[:least]).replace(r"\*", ".*"))
        own = [other for other in own if start.match(other)]
        if ran.issuperset(own):
            return whole[:least].rstrip("*") + "*"
        least += 10
    return whole + "*"


def main():
    with tempfile.TemporaryDirectory() as folder:
        ran = run(folder)
    listed = subprocess.check_output(["nm", "--defined-only", "-S", GMETAD], text=True)
    own = {name: int(size, 16) for size, name in re.findall(r" (\S+) [tT] (\S+)$", listed, re.MULTILINE)}
    ran &= own.keys()
    patterns = sorted({shortest(name, ran, own) for name in ran})
    with open(SCRIPT, "w", encoding="ascii") as file:
        file.write(HEAD)
        for name in patterns:
            # What rarely runs is in a section `.text.unlikely.NAME`.
            file.write(f".text*.{name}\n")
        file.write(TAIL)
    named = re.compile("|".join(re.escape(it).replace(r"\*", ".*") for it in patterns))
    also = sum(own[name] for name in own.keys() - ran if named.match(name))
    print(f"{len(ran)} functions ran, of {sum(own[name] for name in ran)} bytes.")
    print(f"{len(patterns)} names are in {SCRIPT}, which others of {also} bytes have too.")


if __name__ == "__main__":
    main()
