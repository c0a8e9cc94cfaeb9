"""Where the time goes: system calls a message (strace) and a profile (perf), of hsmdkim and of a filter that does nothing."""
import os
import re
import shutil
import signal
import subprocess
import time

import filters

SIZE, CONNECTIONS, MESSAGES = 5000, 8, 25
ATTACH_S = 1.5


def watched(signer, command, connections, messages):
    """Run command beside a load; it is told to end by SIGINT."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tool:
        time.sleep(ATTACH_S)
        filters.load(signer, SIZE, connections, messages)
        tool.send_signal(signal.SIGINT)


def programs(signer):
    """name: pids, without the supervisor, which sees no message"""
    found = {}
    for pid in signer.pids():
        with open(f"/proc/{pid}/comm", encoding="ascii") as f:
            name = f.read().strip()
        if name != "hsmdkim":
            found[name] = pid
    return found


def calls_of(signer, pid):
    """@return calls a message by name, of 25 messages on each of 8 connections"""
    path = os.path.join(signer.dir, f"strace-{pid}")
    watched(signer, ["strace", "-c", "-f", "-o", path, "-p", str(pid)], CONNECTIONS, MESSAGES)
    calls = {}
    with open(path, encoding="ascii", errors="replace") as f:
        for line in f:
            fields = line.split()
            if re.match(r"\s*\d+\.\d+ ", line) and fields[-1] != "total":
                calls[fields[-1]] = int(fields[3]) / (CONNECTIONS * MESSAGES)
    return calls


def shares_of(signer):
    """@return [(percent, program, library)] of the processors' time"""
    path = os.path.join(signer.dir, "perf.data")
    pids = ",".join(str(pid) for pid in programs(signer).values())
    watched(signer, ["perf", "record", "-q", "-e", "cpu-clock", "-F", "2000", "-o", path, "-p", pids], CONNECTIONS, 500)
    text = subprocess.run(["perf", "report", "-i", path, "--sort", "comm,dso", "--stdio", "--percent-limit", "0.3"],
                          capture_output=True, text=True, check=False).stdout
    return [(float(m[1]), m[2], m[3]) for m in re.finditer(r"^ +(\d+\.\d+)% +(\S+) +(\S+)", text, re.MULTILINE)]


def run(directory, key, args):
    kinds = (filters.Noop, filters.Hsmdkim, filters.OpenDkim)
    data = {"calls": {}, "profile": []}
    for kind in kinds:
        if not os.path.exists(kind.program):
            continue
        signer = kind(directory, key)
        signer.start()
        try:
            filters.load(signer, SIZE, CONNECTIONS, 5)
            if shutil.which("strace"):
                for name, pid in programs(signer).items():
                    data["calls"][name] = calls_of(signer, pid)
            if shutil.which("perf") and kind is filters.Hsmdkim and not args.short:
                data["profile"] = shares_of(signer)
        finally:
            signer.stop()
    return data
