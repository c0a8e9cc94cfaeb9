"""What large tables cost: 100,000 patterns of a refile: against one, 1,000,000 rows of file: and of lmdb:."""
import os
import statistics
import subprocess
import time

import filters

CONNECTIONS, SIZE = 8, 5000


def write(path, rows):
    with open(path, "w", encoding="ascii") as f:
        f.writelines(rows)
    return path


class Tabled(filters.Hsmdkim):
    """Signs what its SigningTable says. Its name is the table's kind and number of rows."""

    def __init__(self, directory, key, kind, rows):
        self.name = f"{kind}-{rows}"
        super().__init__(directory, key)
        self.keys = write(os.path.join(self.dir, "keys"), [f"k {filters.DOMAIN}:{filters.SELECTOR}:{key}\n"])
        text = os.path.join(self.dir, "table")
        if kind == "refile":
            self.table = "refile:" + write(text, self.rows(rows, "*@d{}.example k\n", f"*@{filters.DOMAIN} k\n"))
        else:
            self.table = f"{kind}:" + write(text, self.rows(rows, "d{}.example k\n", f"{filters.DOMAIN} k\n"))
        if kind == "lmdb":
            subprocess.run([os.path.join(filters.BIN, "hsmdkim-mktable"), "-t", "signingtable", text, text + ".lmdb"],
                           check=True, stdout=subprocess.DEVNULL)
            self.table = f"lmdb:{text}.lmdb"

    @staticmethod
    def rows(count, form, last):
        yield from (form.format(n) for n in range(count - 1))
        yield last

    def config(self):
        return (f"Mode s\nSocket local:{self.socket}\nKeyTable {self.keys}\nSigningTable {self.table}\n"
                "Canonicalization relaxed/relaxed\nRequireSafeKeys no\n")


class OpenDkimTabled(Tabled):
    program = filters.OpenDkim.program

    def __init__(self, directory, key, kind, rows):
        super().__init__(directory, key, kind, rows)
        self.name = "opendkim-" + self.name

    def config(self):
        return super().config() + "Syslog no\nBackground no\n"


class HsmdkimTabled(Tabled):
    def config(self):
        return super().config() + "UserID nobody\n"


def run(directory, key, args):
    many, huge = (1000, 10000) if args.short else (100000, 1000000)
    cases = [(HsmdkimTabled, "refile", 1), (HsmdkimTabled, "refile", many), (HsmdkimTabled, "file", huge),
             (HsmdkimTabled, "lmdb", huge)]
    if os.path.exists(OpenDkimTabled.program):
        cases += [(OpenDkimTabled, "refile", 1), (OpenDkimTabled, "refile", many), (OpenDkimTabled, "file", huge)]
    running, started = [], {}
    try:
        for kind, table, rows in cases:
            running.append(kind(directory, key, table, rows))
            begun = time.monotonic()
            running[-1].start()  # it may listen before its tables are read: the first signature counts
            filters.load(running[-1], SIZE, 1, 1)
            started[running[-1].name] = time.monotonic() - begun
        return measure(running, started, 1 if args.short else args.rounds)
    finally:
        for signer in running:
            if signer.process is not None:
                signer.stop()


def measure(running, started, rounds):
    """The peer may be slow beyond measure: one message first says how many are sent. @return by filter"""
    count = {s.name: max(1, min(50, int(3000 / CONNECTIONS / filters.load(s, SIZE, 1, 1)["p50_ms"]))) for s in running}
    samples = {s.name: [] for s in running}
    for _ in range(rounds):
        for s in running:
            samples[s.name].append(filters.load(s, SIZE, CONNECTIONS, count[s.name]))
    rate = {name: statistics.median(r["per_second"] for r in runs) for name, runs in samples.items()}
    figures = {}
    for s in running:
        one = rate["opendkim-refile-1" if s.name.startswith("opendkim") else "refile-1"]
        figures[s.name] = {"start_s": started[s.name], "per_second": rate[s.name], "to_one": rate[s.name] / one,
                           "rss_mib": samples[s.name][-1]["rss_mib"]}
        print(f"   {s.name}: {figures[s.name]}", flush=True)
    return figures
