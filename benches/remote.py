#!/usr/bin/env python3
"""What sending every value to a store costs: gmetad's remote write, and vmagent scraping gmetad.

Usage: benches/remote.py [--million | --held SECONDS [--interval N]] [--seconds N] [--hosts N]
                         [GMETAD [FARM]]

Needs victoria-metrics and vmagent, which Debian has in one package. A farm of 1,000 hosts (`--hosts`)
of 33 metrics each 15 s is polled by three gmetads at the same time: one writes to a VictoriaMetrics,
one is scraped by vmagent, which writes to another VictoriaMetrics, and one does neither. CPU is the
kernel's, by thread, so that a machine that has other work does little harm.

With --million: 30,300 hosts (999,900 metrics), one gmetad, one VictoriaMetrics. Fails if a poll is
missed, if a value is dropped or refused, if the store has not what gmetad has sent, or if values waited
for longer than an interval at the end.

With --held: what it costs to keep a value in a round-robin file, held so long (`write_timeout`) and noted
in the journal, beside what a Prometheus needs to take the same values in. Measured once the first files
were written; all threads of both. Needs prometheus, and no VictoriaMetrics.
"""

import argparse
import glob
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

INTERVAL = 15
CONF = """setuid off
bind_address 127.0.0.1
xml_port 0
interactive_port 0
gridname Bench
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def page(port, path="/metrics"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return answer.read().decode()


def figure(text, name, labels=""):
    """The sum of all samples of a metric whose labels have this part."""
    lines = [line for line in text.splitlines() if re.match(re.escape(name) + r"[{ ]", line)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if labels in line)


def cpu_us(pid):
    """Processor time so far, by the name of the thread."""
    used = {}
    for task in glob.glob(f"/proc/{pid}/task/*"):
        try:
            with open(f"{task}/comm", encoding="ascii") as file:
                name = file.read().strip()
            with open(f"{task}/schedstat", encoding="ascii") as file:
                used[name] = used.get(name, 0) + int(file.read().split()[0]) / 1e3
        except FileNotFoundError:
            pass
    return used


def memory_mib(pid, kind="RssAnon"):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(rf"{kind}:\s+(\d+)", file.read())[1]) / 1024


class Bench:
    """Processes, and the folder that they have."""

    def __init__(self, folder, options):
        self.folder = folder
        self.options = options
        self.children = []
        # Of each gmetad: XML port, interactive port.
        self.ports = {}

    def start(self, name, command):
        with open(f"{self.folder}/{name}.log", "w", encoding="ascii") as log:
            child = subprocess.Popen(command, stdout=log, stderr=log)
        self.children.append((name, child))
        return child.pid

    def end(self):
        for _, child in reversed(self.children):
            child.terminate()
        for _, child in self.children:
            child.wait()

    def check(self):
        for name, child in self.children:
            if child.poll() is not None:
                with open(f"{self.folder}/{name}.log", encoding="utf-8") as log:
                    sys.exit(f"remote: {name} has ended:\n{log.read()[-2000:]}")

    def wait(self, what, holds, seconds=120):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check()
            try:
                if holds():
                    return
            except OSError:
                pass
            time.sleep(0.2)
        sys.exit(f"remote: waited {seconds} s in vain for {what}")

    def farm(self, name="farm", more=()):
        conf = f"{self.folder}/{name}.sources"
        shape = ["--clusters", "10", "--hosts", str(self.options.hosts // 10), *more]
        pid = self.start(name, [self.options.farm, *shape, "--conf", conf])
        self.wait("the farm", lambda: os.path.getsize(conf) > 0)
        with open(conf, encoding="ascii") as file:
            return pid, file.read()

    def store(self, name):
        port = free_port()
        data, listen = f"{self.folder}/{name}", f"127.0.0.1:{port}"
        command = ["victoria-metrics", f"-storageDataPath={data}", f"-httpListenAddr={listen}"]
        pid = self.start(name, [*command, "-search.latencyOffset=1ms"])
        self.wait(name, lambda: page(port, "/health") == "OK")
        return pid, port

    def gmetad(self, name, text, rrds="write_rrds off\n"):
        conf = f"{self.folder}/{name}.conf"
        with open(conf, "w", encoding="ascii") as file:
            file.write(CONF + rrds + text)
        pid = self.start(name, [self.options.gmetad, "-f", "-c", conf])

        def ports():
            with open(f"{self.folder}/{name}.log", encoding="utf-8") as log:
                return re.search(r"xml \S+:(\d+), interactive \S+:(\d+)\n", log.read())

        self.wait(name, ports)
        self.ports[name] = [int(port) for port in ports().groups()]
        return pid, self.ports[name][1]

    def vmagent(self, target, store):
        port = free_port()
        conf = f"{self.folder}/vmagent.yml"
        with open(conf, "w", encoding="ascii") as file:
            file.write(
                f"""scrape_configs:
  - job_name: gmetad
    scrape_interval: {INTERVAL}s
    metrics_path: /metrics
    params: {{scope: [all]}}
    honor_labels: true
    static_configs:
      - targets: ["127.0.0.1:{target}"]
"""
            )
        command = ["vmagent", f"-promscrape.config={conf}", f"-httpListenAddr=127.0.0.1:{port}"]
        command += [f"-remoteWrite.url=http://127.0.0.1:{store}/api/v1/write"]
        command += [f"-remoteWrite.tmpDataPath={self.folder}/vmagent", "-promscrape.maxScrapeSize=1GiB"]
        return self.start("vmagent", command), port


def used(before, after, *names):
    chosen = names or after.keys()
    return sum(after.get(name, 0) - before.get(name, 0) for name in chosen)


def written(text):
    labels = 'plugin="remote_write",result="written"'
    return figure(text, "gmetad_output_values_total", labels)


def compare(bench, seconds):
    _, sources = bench.farm()
    _, ours_store = bench.store("store")
    _, other_store = bench.store("store-of-vmagent")
    url = f"http://127.0.0.1:{ours_store}/api/v1/write"
    writes, writes_port = bench.gmetad("writes", sources + f'remote_write {{\nurl "{url}"\n}}\n')
    scraped, scraped_port = bench.gmetad("scraped", sources)
    plain, _ = bench.gmetad("plain", sources)
    agent, agent_port = bench.vmagent(scraped_port, other_store)
    pushed = "vmagent_remotewrite_rows_pushed_after_relabel_total"
    sent = "vmagent_remotewrite_conn_bytes_written_total"
    took = "vm_tcplistener_read_bytes_total"
    # Series are new to the stores at first, and caches are filled.
    hosts = bench.options.hosts
    bench.wait("values from vmagent", lambda: figure(page(agent_port), pushed) > 60 * hosts, 300)
    bench.wait("values from gmetad", lambda: written(page(writes_port)) > 60 * hosts, 300)

    def look():
        agents = page(agent_port)
        return {
            "written": written(page(writes_port)),
            "wire": figure(page(ours_store), took, 'name="http"'),
            "pushed": figure(agents, pushed),
            "agent wire": figure(agents, sent),
            "cpu": {pid: cpu_us(pid) for pid in (writes, scraped, plain, agent)},
        }

    before = look()
    time.sleep(seconds)
    bench.check()
    after = look()

    def grown(name):
        return after[name] - before[name]

    def cpu(pid, *names):
        return used(before["cpu"][pid], after["cpu"][pid], *names)

    ours, theirs = grown("written"), grown("pushed")
    spent = cpu(writes) - cpu(plain)
    senders = cpu(writes, "plugins", "remote_write")
    asked = cpu(scraped) - cpu(plain)
    print(f"samples: {ours:.0f} written, {theirs:.0f} scraped and pushed, in {seconds} s\n")
    print("| measured | remote write | vmagent, scraping | ratio |\n|---|---|---|---|")
    row = [senders / ours, cpu(agent) / theirs]
    print(f"| CPU a sample | {row[0]:.3f} µs | {row[1]:.2f} µs | {row[1] / row[0]:.1f} |")
    row = [spent / ours, (cpu(agent) + asked) / theirs]
    told = "the same, and what gmetad needs more than one that does neither"
    print(f"| {told} | {row[0]:.3f} µs | {row[1]:.2f} µs | {row[1] / row[0]:.1f} |")
    base = memory_mib(plain)
    row = [memory_mib(writes) - base, memory_mib(scraped) - base + memory_mib(agent)]
    print(f"| anonymous memory more | {row[0]:.1f} MiB | {row[1]:.1f} MiB | {row[1] / row[0]:.1f} |")
    row = [grown("wire") / ours, grown("agent wire") / theirs]
    print(f"| on the wire, a sample | {row[0]:.1f} B | {row[1]:.1f} B | {row[1] / row[0]:.1f} |")


def million(bench, seconds):
    farm, sources = bench.farm()
    store, store_port = bench.store("store")
    url = f"http://127.0.0.1:{store_port}/api/v1/write"
    # New series cost the store far more than values of known ones: until it has them all, values wait.
    section = f'remote_write {{\nurl "{url}"\nbacklog_mb 1024\n}}\n'
    pid, port = bench.gmetad("writes", sources + section)
    hosts = bench.options.hosts

    def is_settled():
        text = page(port)
        waits = figure(text, "gmetad_output_lag_seconds", "remote_write")
        return written(text) > 60 * hosts and waits < INTERVAL

    bench.wait("all series in the store, and no value older than an interval", is_settled, 900)
    before, cpu = page(port), {it: cpu_us(it) for it in (farm, store, pid)}
    time.sleep(seconds)
    bench.check()
    after, later = page(port), {it: cpu_us(it) for it in (farm, store, pid)}
    lag = figure(after, "gmetad_output_lag_seconds", "remote_write")
    # What is on its way arrives; then nothing more may be missing.
    names = ("written", "failed", "dropped")
    of = {it: figure(after, "gmetad_output_values_total", f'plugin="remote_write",result="{it}"') for it in names}
    polls = {
        "missed": figure(after, "gmetad_source_poll_misses_total"),
        "failed": figure(after, "gmetad_source_polls_total", 'result="failed"'),
    }
    bench.wait(
        "the store to have what was sent",
        lambda: figure(page(store_port), "vm_rows_inserted_total", "promremotewrite") >= of["written"],
        60,
    )
    samples = written(after) - written(before)
    memory = [memory_mib(it) for it in (pid, store)]
    print(f"{samples:.0f} samples in {seconds} s, {samples / seconds * INTERVAL:.0f} each {INTERVAL} s")
    for name, it in (("gmetad", pid), ("VictoriaMetrics", store), ("the farm", farm)):
        share = used(cpu[it], later[it]) / seconds / 1e4
        print(f"CPU of {name}: {share:.1f} % of a core")
    cost = used(cpu[pid], later[pid], "plugins", "remote_write") / samples
    print(f"CPU of remote write: {cost:.3f} µs a sample")
    print(f"anonymous memory: gmetad {memory[0]:.0f} MiB, VictoriaMetrics {memory[1]:.0f} MiB")
    print(f"polls: {polls}; values: {of}; oldest value waits for {lag:.1f} s")
    wrong = [it for it in (*polls.values(), of["failed"], of["dropped"]) if it > 0]
    if wrong or lag > INTERVAL:
        sys.exit("remote: not all arrived in time")
    print("none missed")


def held(bench, seconds):
    every = bench.options.interval
    _, sources = bench.farm(more=["--interval", str(every)])
    port = free_port()
    conf = f"{bench.folder}/prometheus.yml"
    with open(conf, "w", encoding="ascii") as file:
        file.write("scrape_configs: []\n")
    command = ["prometheus", f"--config.file={conf}", f"--storage.tsdb.path={bench.folder}/prometheus"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver"]
    store = bench.start("prometheus", command)
    bench.wait("prometheus", lambda: "Ready" in page(port, "/-/ready"))
    wait = bench.options.held
    url = f"http://127.0.0.1:{port}/api/v1/write"
    _, writes = bench.gmetad("writes", sources + f'remote_write {{\nurl "{url}"\n}}\n')
    files = f'rrd_rootdir "{bench.folder}/rrds"\n'
    files += f'rrd {{\njournal_dir "{bench.folder}/journal"\nwrite_timeout {wait}\n}}\n'
    pid, holds = bench.gmetad("holds", sources, files)
    polled = "gmetad_source_polls_total"
    # Numbers alone are stored, 29 of the 33; the sums of its cluster are a host more.
    metrics = 29 * (bench.options.hosts / 10 + 1)

    def look():
        polls = figure(page(holds), polled, 'result="ok"')
        return polls * metrics, written(page(writes)), used({}, cpu_us(pid)), used({}, cpu_us(store))

    # Then each file is written about as often as new values make it due.
    time.sleep(wait + 2 * every)
    bench.check()
    if figure(page(holds), "gmetad_rrd_cache_values") < metrics:
        sys.exit("remote: no values are held")
    before = look()
    time.sleep(seconds)
    bench.check()
    values, samples, ours, theirs = (now - then for now, then in zip(look(), before))
    print(f"{values:.0f} values held {wait} s, {samples:.0f} samples in Prometheus, in {seconds} s\n")
    row = [ours / values, theirs / samples]
    print("| measured | gmetad, held | Prometheus, sent to | of Prometheus |\n|---|---|---|---|")
    print(f"| CPU a value, all in | {row[0]:.2f} µs | {row[1]:.2f} µs | {row[0] / row[1]:.2f} |")
    row = [memory_mib(pid), memory_mib(store)]
    print(f"| anonymous memory | {row[0]:.1f} MiB | {row[1]:.1f} MiB | {row[0] / row[1]:.2f} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--held", type=int)
    parser.add_argument("--interval", type=int, default=INTERVAL)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--hosts", type=int)
    parser.add_argument("gmetad", nargs="?", default="target/release/gmetad")
    parser.add_argument("farm", nargs="?", default="target/release/examples/farm")
    options = parser.parse_args()
    options.hosts = options.hosts or (30_300 if options.million else 1_000)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(folder, options)
        try:
            kind = held if options.held else million if options.million else compare
            kind(bench, options.seconds)
        finally:
            bench.end()


if __name__ == "__main__":
    main()
