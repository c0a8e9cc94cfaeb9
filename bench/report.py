"""Tables in Markdown of what was measured, and which targets were reached; for docs/BENCHMARKS.md."""
import os
import re
import subprocess

import filters

PAGE = os.path.join(filters.TOP, "docs/BENCHMARKS.md")
BEGIN, END = "<!-- bench: begin -->\n", "<!-- bench: end -->\n"
MAIN = "5000x8"
PACKAGES = ("opendkim", "rspamd", "dkimpy-milter", "libmilter1.0.1", "libssl3", "softhsm2")


def rows(head, lines):
    """@return a Markdown table"""
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *lines]) + "\n"


def number(value, digits=3):
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"


# Parts.
def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        cpu = re.search(r"model name\s*: (.*)", f.read())
    versions = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}, ", *PACKAGES], capture_output=True, text=True,
                              check=False).stdout
    with open("/proc/meminfo", encoding="ascii") as f:
        memory = int(f.readline().split()[1]) / 1048576
    return (f"{cpu[1] if cpu else 'unknown processor'}, {os.cpu_count()} cores, {memory:.0f} GB, Linux {os.uname().release}; "
            f"{versions.rstrip(', ')}.\n")


def rates(title, part):
    text = ""
    for case, peers in part["data"]["cases"].items():
        size, connections = case.split("x")
        base = peers.get("opendkim", next(iter(peers.values())))
        lines = [[name, f"{r['per_second']:.0f}", number(r["per_second"] / base["per_second"]), f"{r['cpu_us_message']:.0f}",
                  f"{r['cpu_us_message'] / base['cpu_us_message']:.2f}", number(r["p50_ms"]), number(r["p99_ms"]),
                  f"{r['rss_mib']:.0f}"] for name, r in peers.items()]
        text += f"### {title}, {int(size) // 1000} KB, {connections} connection{'s' if connections != '1' else ''}\n\n"
        text += rows(["", "messages/s", "ratio", "CPU µs", "ratio", "p50 ms", "p99 ms", "RSS MiB"], lines) + "\n"
    return text


def sign(part):
    text = rates("Signing", part)
    above = above_us(part["data"])
    if above is not None:
        text += (f"One RSA-2048 signature took {part['data']['signature_us']:.0f} µs of CPU in that run; hsmdkim's CPU above noop "
                 f"and one signature (5 KB, 8 connections): {above:.0f} µs.\n\n")
    return text


def verify(part):
    return rates("Verifying", part)


def memory(part):
    data = part["data"]
    lines = [[name, *(f"{r[k]:.1f}" for k in ("idle_rss", "idle_pss", "busy", "growth", "large"))]
             for name, r in data["figures"].items()]
    head = ["", "idle RSS", "idle PSS", f"{data['connections']} busy", "growth", f"growth with {data['body'] / 1e6:.0f} MB"]
    return "### Memory, MiB of all processes\n\n" + rows(head, lines) + "\n"


def tables(part):
    lines = [[name, f"{r['start_s']:.2f}", f"{r['per_second']:.0f}", f"{r['to_one']:.2f}", f"{r['rss_mib']:.0f}"]
             for name, r in part["data"].items()]
    return "### Tables (filter, kind and rows)\n\n" + rows(["", "start s", "messages/s", "to one row", "RSS MiB"], lines) + "\n"


def pieces(part):
    text = part["data"]["text"].rsplit("{", 1)[0]
    return "### Pieces\n\n```\n" + text + "```\n\n"


def sessions(part):
    lines = [[name, f"{r['bare']:.0f}", f"{r['per_second']:.0f}", f"{r['ratio']:.3f}", str(r["least"]),
              f"{r['of_ideal']:.3f}" if "of_ideal" in r else "–"] for name, r in part["data"].items()]
    head = ["", "bare C_Sign/s", "messages/s", "ratio", "wanted", "of sessions ÷ 20 ms"]
    return "### A token's sessions\n\n" + rows(head, lines) + "\n"


def inside(part):
    shown = ("poll", "read", "recvfrom", "writev", "write", "sendto", "futex")
    lines = []
    for name, calls in part["data"]["calls"].items():
        other = sum(calls.values()) - sum(calls.get(c, 0) for c in shown)
        lines.append([name, f"{sum(calls.values()):.1f}", *(f"{calls.get(c, 0):.1f}" for c in shown), f"{other:.1f}"])
    text = "### System calls a message (strace, 8 connections)\n\n" + rows(["", "all", *shown, "others"], lines) + "\n"
    if part["data"]["profile"]:
        text += "### Profile of signing (perf, hsmdkim's two processes)\n\n"
        text += rows(["share", "process", "where"], [[f"{p:.1f} %", comm, dso] for p, comm, dso in part["data"]["profile"]]) + "\n"
    return text


# Targets: (what, wanted, reached as a number, unit, higher is better).
def above_us(data):
    peers = data["cases"].get(MAIN, {})
    if "noop" not in peers or "hsmdkim" not in peers:
        return None
    return peers["hsmdkim"]["cpu_us_message"] - peers["noop"]["cpu_us_message"] - data["signature_us"]


def ratio(part, key, one, other):
    peers = part["data"]["cases"].get(MAIN, {}) if part else {}
    return peers[one][key] / peers[other][key] if one in peers and other in peers else None


def percents(part, line):
    """The four of microbench's line: text, base64, HTML, alternating blanks."""
    found = re.search(rf"^{line}\s+([\d ]+)$", part["data"]["text"], re.MULTILINE) if part else None
    return [int(word) for word in found[1].split()] if found else None


def of(part, *keys):
    value = part["data"] if part else None
    for key in keys:
        value = value.get(key) if value else None
    return value


def quotient(a, b):
    return a / b if a is not None and b else None


def targets(kept):
    """@return (what, limit, reached or None, how it is shown, at least or at most)"""
    signing, verifying, mem = kept.get("sign"), kept.get("verify"), kept.get("memory")
    table, micro, scaled = kept.get("tables"), kept.get("pieces"), kept.get("sessions")
    fast = next((p for p in (percents(micro, f"relaxed, {k}") for k in ("avx512", "avx2")) if p), None)
    portable, simple = percents(micro, "relaxed, word"), percents(micro, "simple")
    ours, theirs = of(mem, "figures", "hsmdkim"), of(mem, "figures", "opendkim")
    yield "signing, messages/s to OpenDKIM's", 3, ratio(signing, "per_second", "hsmdkim", "opendkim"), "×", True
    yield "signing, messages/s to rspamd's", 1.3, ratio(signing, "per_second", "hsmdkim", "rspamd"), "×", True
    yield "signing, CPU to OpenDKIM's", 0.35, ratio(signing, "cpu_us_message", "hsmdkim", "opendkim"), "×", False
    yield "CPU above noop + one signature", 150, above_us(signing["data"]) if signing else None, "µs", False
    yield "verifying, messages/s to OpenDKIM's", 3, ratio(verifying, "per_second", "hsmdkim", "opendkim"), "×", True
    yield "relaxed body, AVX2 or better, of SHA-256", 85, min(fast) if fast else None, "%", True
    yield "relaxed body, portable C, text and base64", 60, min(portable[:2]) if portable else None, "%", True
    yield "simple body", 95, min(simple) if simple else None, "%", True
    if ours and theirs:
        yield "idle memory to OpenDKIM's (RSS)", 1.5, ours["idle_rss"] / theirs["idle_rss"], "×", False
        yield "growth to 1,000 busy connections, of OpenDKIM's", 5, 100 * ours["growth"] / theirs["growth"], "%", False
        yield "growth with a 1 GB message", 1, ours["large"], "MiB", False
    for name, r in (scaled["data"] if scaled else {}).items():
        yield f"{name}, of bare C_Sign", 100 * r["least"], 100 * r["ratio"], "%", True
        if "of_ideal" in r:
            yield f"{name}, of sessions ÷ 20 ms", 95, 100 * r["of_ideal"], "%", True
    yield "100,000 patterns, of the rate with one", 90, percent_of(of(table, "refile-100000", "to_one")), "%", True
    yield "1,000,000 rows of `file:`, start", 1.5, of(table, "file-1000000", "start_s"), "s", False
    yield "1,000,000 rows of `lmdb:`, start to that with one row", 1.5, \
        quotient(of(table, "lmdb-1000000", "start_s"), of(table, "refile-1", "start_s")), "×", False


def percent_of(value):
    return None if value is None else 100 * value


def target_table(kept):
    lines = []
    for what, limit, reached, unit, at_least in targets(kept):
        if reached is None:
            verdict = "not measured"
        elif (reached >= limit) if at_least else (reached <= limit):
            verdict = "reached"
        else:
            verdict = f"**missed by {number(abs(reached - limit))} {unit}**"
        lines.append([what, f"{'≥' if at_least else '≤'} {limit:g} {unit}", "–" if reached is None else
                      f"{number(reached)} {unit}", verdict])
    return "### Targets\n\n" + rows(["", "wanted", "measured", ""], lines) + "\n"


def markdown(kept):
    """Everything that was measured."""
    parts = [(name, kept.get(name)) for name in ("sign", "verify", "memory", "tables", "pieces", "sessions", "inside")]
    text = machine() + "\n"
    for name, part in parts:
        if part is not None:
            text += f"- {name}: {part['date']} UTC, {part['seconds']} s, load average {part['load'][0]} → {part['load'][1]}\n"
    text += "\n" + target_table(kept)
    for name, part in parts:
        if part is not None and part["data"]:
            text += globals()[name](part)
    return text


def write(text):
    """Between the two marks of docs/BENCHMARKS.md."""
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(before + BEGIN + "\n" + text + END + after)
