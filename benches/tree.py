#!/usr/bin/env python3
"""What a site of many hosts costs at each level: gmetads that poll a farm, and one that polls them.

Usage: benches/tree.py [--leaves N] [--hosts N] [--remote-write] [--seconds N] [GMETAD [FARM]]

Each of N leaves (10) polls a farm of its own of 10 clusters with N hosts (10,000) of 33 metrics each
15 s; a top polls the leaves and has their sums. Prints CPU and memory of each level, a share of a core
at the rate of the configuration, and how many polls were missed. No RRD files are written: what those
cost, `versus` measures. With --remote-write the leaves write to one VictoriaMetrics.
"""

import argparse
import re
import socket
import sys
import tempfile
import time

from remote import INTERVAL, Bench, cpu_us, figure, memory_mib, page, used


def summed_hosts(port):
    """Hosts in the sums of a whole grid."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"/?filter=summary\n")
        xml = b"".join(iter(lambda: connection.recv(1 << 16), b"")).decode("latin-1")
    found = re.search(r'<HOSTS UP="(\d+)"', xml)
    return int(found[1]) if found else 0


class Level:
    """A gmetad, and what it used since it was last looked at."""

    def __init__(self, pid, port):
        self.pid = pid
        self.port = port
        self.look()

    def look(self):
        self.page = page(self.port)
        self.cpu = cpu_us(self.pid)

    def polls(self):
        return figure(self.page, "gmetad_source_polls_total", 'result="ok"')

    def missed(self):
        return figure(self.page, "gmetad_source_poll_misses_total")


def shown(name, level, before, sources):
    """One row: the cost of polling all sources once, and the share of a core at the configured rate."""
    cpu, polls, missed = before
    rounds = (level.polls() - polls) / sources
    if rounds == 0:
        sys.exit(f"tree: {name} has polled nothing; the machine has too much else to do")
    spent = used(cpu, level.cpu) / rounds
    print(
        f"| {name} | {spent / 1e3:.1f} ms | {spent / 1e4 / INTERVAL:.2f} % | "
        f"{memory_mib(level.pid):.1f} MiB | {rounds:.1f} | {level.missed() - missed:.0f} |",
        flush=True,
    )


def run(bench, options):
    section = ""
    if options.remote_write:
        _, store = bench.store("store")
        url = f"http://127.0.0.1:{store}/api/v1/write"
        section = f'remote_write {{\nurl "{url}"\nexternal_label leaf LEAF\n}}\n'
    leaves = []
    for at in range(options.leaves):
        _, sources = bench.farm(f"farm-{at}", ["--seed", str(at + 1)])
        text = f'gridname "Leaf {at}"\n{sources}{section.replace("LEAF", str(at))}'
        leaves.append(Level(*bench.gmetad(f"leaf-{at}", text)))
    lines = []
    for at, leaf in enumerate(leaves):
        xml = bench.ports[f"leaf-{at}"][0]
        lines.append(f'data_source "leaf {at}" {INTERVAL} 127.0.0.1:{xml}\n')
    top = Level(*bench.gmetad("top", 'gridname "Top"\n' + "".join(lines)))
    all_hosts = options.leaves * options.hosts

    wanted = f"{all_hosts} hosts"
    bench.wait(wanted + " at the top", lambda: summed_hosts(top.port) >= all_hosts, 600)
    levels = [*leaves, top]
    for level in levels:
        level.look()
    before = [(level.cpu, level.polls(), level.missed()) for level in levels]
    time.sleep(options.seconds)
    bench.check()
    for level in levels:
        level.look()
    print(f"{wanted} of 33 metrics, {options.leaves} gmetads and a top, {options.seconds} s\n")
    print("| gmetad | CPU to poll all once | share of a core | anonymous memory | rounds | polls missed |")
    print("|---|---|---|---|---|---|")
    for at, leaf in enumerate(leaves):
        shown(f"leaf {at}", leaf, before[at], 10)
    shown("top", top, before[-1], options.leaves)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--leaves", type=int, default=10)
    parser.add_argument("--hosts", type=int, default=10_000)
    parser.add_argument("--remote-write", action="store_true")
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("gmetad", nargs="?", default="target/release/gmetad")
    parser.add_argument("farm", nargs="?", default="target/release/examples/farm")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(folder, options)
        try:
            run(bench, options)
        finally:
            bench.end()


if __name__ == "__main__":
    main()
