#!/usr/bin/env python3
"""What pages cost: processor time of gmetad, bytes and time of each, over files with an hour of values.

Usage: benches/pages.py [GMETAD [FARM]]. Needs rrdtool. Every figure is the median and the least of 20.
"""

import math
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

GMETAD = sys.argv[1] if len(sys.argv) > 1 else "target/release/gmetad"
FARM = sys.argv[2] if len(sys.argv) > 2 else "target/release/examples/farm"
ROUNDS = 20
CLUSTER = "farm-0000"
CONF = """setuid off
bind_address 127.0.0.1
xml_port 0
interactive_port 0
rrd_rootdir {folder}/rrds
RRAs RRA:AVERAGE:0.5:1:244
"""
PAGES = {
    100: [
        ("cluster, a graph in each row", f"cluster?c={CLUSTER}"),
        ("cluster, small graphs", f"cluster?c={CLUSTER}&v=graphs"),
        ("grid", ""),
        ("host, all metrics", f"host?c={CLUSTER}&h=HOST"),
        ("one graph", f"graph.svg?c={CLUSTER}&g=load_report"),
    ],
    1000: [
        ("cluster, first page", f"cluster?c={CLUSTER}"),
        ("one metric of all hosts", f"cluster?c={CLUSTER}&n=1000&v=graphs&m=load_one"),
        ("their average", f"metric?c={CLUSTER}&m=load_one&f=.&style=average"),
    ],
    10000: [("cluster, first page", f"cluster?c={CLUSTER}")],
}


def template(path, fields, values):
    """A file with a value every 15 s for an hour."""
    end = int(time.time()) - 15
    start = end - 3700
    sources = [f"DS:{name}:GAUGE:120:U:U" for name in fields]
    create = ["rrdtool", "create", path, "--start", str(start), "--step", "15", *sources]
    subprocess.check_call([*create, "RRA:AVERAGE:0.5:1:244"])
    times = range(start + 15, end, 15)
    rows = [":".join([str(at), *values(at)]) for at in times]
    subprocess.check_call(["rrdtool", "update", path, *rows])


def fill(folder, port):
    """Files for all hosts of the farm; of very many, those that their first page reads."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        document = b"".join(iter(lambda: connection.recv(1 << 20), b"")).decode("latin-1")
    hosts = re.findall(r'<HOST NAME="([^"]+)"', document)
    number = r'<METRIC NAME="([^"]+)"[^>]*TYPE="(?:float|double|u?int\d+)"'
    metrics = re.findall(number, document.split("</HOST>")[0])
    value = lambda at: f"{50 + 20 * math.sin(at / 300) + at * 7919 % 97 / 10:.3f}"
    template(f"{folder}/host.rrd", ["sum"], lambda at: [value(at)])
    template(f"{folder}/sums.rrd", ["sum", "num"], lambda at: [value(at), str(len(hosts))])
    root = f"{folder}/rrds"
    places = [(f"{root}/{CLUSTER}/{host}", "host.rrd") for host in hosts]
    places += [(f"{root}/{below}__SummaryInfo__", "sums.rrd") for below in ("", f"{CLUSTER}/")]
    for place, source in places:
        os.makedirs(place)
        few = len(hosts) > 1000 and source == "host.rrd"
        for metric in ["load_one"] if few else metrics:
            shutil.copyfile(f"{folder}/{source}", f"{place}/{metric}.rrd")
    return hosts[0]


def cpu_ms(pid):
    """Processor time of all threads so far."""
    tasks = f"/proc/{pid}/task"
    used = 0
    for task in os.listdir(tasks):
        with open(f"{tasks}/{task}/schedstat", encoding="ascii") as file:
            used += int(file.read().split()[0])
    return used / 1e6


def text(url):
    return urllib.request.urlopen(url).read().decode()


def measure(base, pid, name, page):
    used, took, size = [], [], 0
    for at in range(ROUNDS + 1):
        before, start = cpu_ms(pid), time.time()
        size = len(urllib.request.urlopen(base + page).read())
        duration = (time.time() - start) * 1e3
        # The last thread may still be at work for a moment.
        time.sleep(0.01)
        # The first reads files that are not in memory yet.
        if at > 0:
            used.append(cpu_ms(pid) - before)
            took.append(duration)
    used.sort()
    took.sort()
    middle = ROUNDS // 2
    shown = [f"{all_of[middle]:.1f} ({all_of[0]:.1f}) ms" for all_of in (used, took)]
    print(f"| {name} | {size / 1000:.0f} KB | {shown[0]} | {shown[1]} |", flush=True)


def run(count, folder):
    conf = f"{folder}/sources"
    options = ["--clusters", "1", "--hosts", str(count), "--interval", "600", "--conf", conf]
    farm = subprocess.Popen([FARM, *options], stderr=subprocess.DEVNULL)
    try:
        while not os.path.exists(conf) or not os.path.getsize(conf):
            time.sleep(0.1)
        with open(conf, encoding="ascii") as file:
            sources = file.read()
        host = fill(folder, int(re.search(r":(\d+)", sources)[1]))
        with open(f"{folder}/gmetad.conf", "w", encoding="ascii") as file:
            file.write(CONF.format(folder=folder) + sources)
        with open(f"{folder}/log", "w", encoding="ascii") as log:
            gmetad = subprocess.Popen([GMETAD, "-f", "-c", f"{folder}/gmetad.conf"], stderr=log)
        try:
            port = None
            while port is None:
                time.sleep(0.1)
                with open(f"{folder}/log", encoding="utf-8") as log:
                    port = re.search(r"interactive \S+:(\d+)\n", log.read())
            base = f"http://127.0.0.1:{port[1]}/ui/"
            # Its source has answered, and its files are written, before anything is measured.
            while f"h={host}" not in text(f"{base}search?q={host}"):
                time.sleep(0.5)
            before = -1.0
            while cpu_ms(gmetad.pid) - before > 20:
                before = cpu_ms(gmetad.pid)
                time.sleep(2)
            for name, page in PAGES[count]:
                measure(base, gmetad.pid, f"{count} hosts: {name}", page.replace("HOST", host))
        finally:
            gmetad.terminate()
            gmetad.wait()
    finally:
        farm.terminate()
        farm.wait()


if __name__ == "__main__":
    print("| page | bytes | CPU: median (least) | from request to last byte |\n|---|---|---|---|")
    for hosts_of_cluster in PAGES:
        with tempfile.TemporaryDirectory() as place:
            run(hosts_of_cluster, place)
