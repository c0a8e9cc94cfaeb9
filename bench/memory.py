"""Memory of a signer with all its processes: idle, with 1,000 connections in the middle of a message, and its peak while
one large body goes through."""
import os
import subprocess
import time

import filters

BUSY = 1000
MIB = 1024.0  # of the kernel's kB
PIECE = 1000000


def kib(pid, file, field):
    """A line "Field: N kB" of a file of /proc."""
    with open(f"/proc/{pid}/{file}", encoding="ascii") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    return 0


def total(signer, file, field):
    return sum(kib(pid, file, field) for pid in signer.pids()) / MIB


def resident(signer):
    return total(signer, "status", "VmRSS")


def settled(signer):
    """When two readings are the same."""
    before = -1
    while (now := resident(signer)) != before:
        before = now
        time.sleep(0.3)
    return now


def busy(signer, connections):
    """@return MiB while that many connections are in the middle of a message; they all end well"""
    command = filters.command(signer, 5000, connections, 1, "--hold")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
        if held.stdout.readline() != "held\n":
            raise RuntimeError(f"{signer.name}: connections were not taken")
        now = settled(signer)
        held.stdin.close()
        held.wait()
        if held.returncode != 0:
            raise RuntimeError(f"{signer.name}: {held.stdout.read()}")
    return now


def large(signer, size):
    """@return MiB that the processes grew at most while a body of that size was signed"""
    before = {pid: kib(pid, "status", "VmRSS") for pid in signer.pids()}
    for pid in before:
        with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as f:
            f.write("5")  # the peak starts again
    filters.load(signer, min(size, PIECE), 1, 1, "--repeat", str(max(1, size // PIECE)))
    return sum(max(0, kib(pid, "status", "VmHWM") - rss) for pid, rss in before.items()) / MIB


def run(directory, key, args):
    """@return by filter: MiB of all processes together"""
    connections = 100 if args.short else BUSY
    size = min(args.body, 10**7) if args.short else args.body
    figures = {}
    for kind in (filters.Hsmdkim, filters.OpenDkim):
        if not os.path.exists(kind.program) or (args.only and kind.name not in args.only.split(",")):
            continue
        signer = kind(directory, key)
        signer.start()
        try:
            idle, shared = settled(signer), total(signer, "smaps_rollup", "Pss")
            filters.load(signer, 5000, 1, 10)
            grown = large(signer, size)
            start = settled(signer)
            full = busy(signer, connections)
        finally:
            signer.stop()
        figures[signer.name] = {"idle_rss": idle, "idle_pss": shared, "busy": full, "growth": full - start, "large": grown}
        print(f"   {signer.name}: {figures[signer.name]}", flush=True)
    return {"figures": figures, "connections": connections, "body": size}
