#!/usr/bin/python3
"""How signing scales with the sessions of a token: messages a second through the milter, held against as many bare threads
that do nothing but C_SignInit and C_Sign, and against sessions / 20 ms.

A token whose time is latency is SoftHSM behind tests/faultmod, which sleeps in each C_Sign and takes no processor. SoftHSM
itself takes the cores that the milter needs, too.

usage: scaling.py [--short] [--seconds S] [--rounds N]
HSMDKIM_JUDGE=1: the exit status is 1 when a ratio is below its limit. BIN: where the programs are.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import filters

FAULTMOD = os.path.join(os.path.dirname(filters.BIN), "lib", "libhsmdkim-faultmod.so")
SLEEP_MS = 20
SLEEPS = f"C_Sign all delay {SLEEP_MS}\n"
# name: (module, script of the fault module, sessions, connections, least ratio)
# More connections than sessions: while some wait for their signature others are prepared.
CASES = {
    f"token that takes {SLEEP_MS} ms, 1 session": (FAULTMOD, SLEEPS, 1, 4, 0.95),
    f"token that takes {SLEEP_MS} ms, 8 sessions": (FAULTMOD, SLEEPS, 8, 64, 0.95),
    f"token that takes {SLEEP_MS} ms, 16 sessions": (FAULTMOD, SLEEPS, 16, 64, 0.95),
    "SoftHSM, 1 session": (filters.softhsm(), "", 1, 4, 0.85),
    "SoftHSM, 2 sessions": (filters.softhsm(), "", 2, 8, 0.75),
}


class Scaled(filters.HsmdkimToken):
    """The daemon with one of the cases; its token serves the bare threads, too."""

    name = "scaled"

    def __init__(self, directory, module, script, sessions):
        super().__init__(directory, None)
        # Where the daemon's user can read it, wherever the checkout lies.
        self.module = shutil.copy(module, self.dir) if module == FAULTMOD else module
        self.sessions = sessions
        self.script = os.path.join(self.dir, "script")
        with open(self.script, "w", encoding="ascii") as file:
            file.write(script)

    def config(self):
        return super().config().replace(f"PKCS11Module {filters.softhsm()}", f"PKCS11Module {self.module}")

    def environment(self):
        return {**super().environment(), "HSMDKIM_FAULT_MODULE": filters.softhsm(), "HSMDKIM_FAULT_SCRIPT": self.script}

    def bare(self, seconds):
        out = subprocess.run([os.path.join(filters.BIN, "baresign"), self.module, "bench", "mail",
                              os.path.join(self.dir, "token/pin"), str(self.sessions), str(seconds)],
                             env=self.environment(), stdout=subprocess.PIPE, check=True)
        return json.loads(out.stdout)["per_second"]


def case(directory, name, seconds, rounds):
    """@return rates and the median ratio of daemon to bare threads; rounds are interleaved: a noisy minute hits both"""
    module, script, sessions, connections, least = CASES[name]
    signer = Scaled(directory, module, script, sessions)
    signer.start()
    ratios, last = [], 0
    try:
        filters.load(signer, 2000, connections, 5)
        for _ in range(rounds):
            bare = signer.bare(seconds)
            messages = max(5, int(bare * seconds / connections))
            last = filters.load(signer, 2000, connections, messages)["per_second"]
            ratios.append(last / bare)
    finally:
        signer.stop()
    figures = {"bare": bare, "per_second": last, "ratio": statistics.median(ratios), "least": least}
    if script:
        figures["of_ideal"] = last * SLEEP_MS / 1000 / sessions
    print(f"   {name:36} " + "   ".join(f"{k} {v:.3g}" for k, v in figures.items()), flush=True)
    return figures


def run(seconds, rounds):
    """@return by case; None: the fault module is missing"""
    if not os.path.exists(FAULTMOD):
        print(f"   missing: {FAULTMOD}")
        return None
    figures = {}
    for name in CASES:
        with tempfile.TemporaryDirectory(prefix="hsmdkim-scaling-") as directory:
            os.chmod(directory, 0o755)
            figures[name] = case(directory, name, seconds, rounds)
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="two seconds a measurement, one round")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    seconds, rounds = (2, 1) if args.short else (args.seconds, args.rounds)
    figures = run(seconds, rounds)
    if figures is None:
        return 77
    good = all(f["ratio"] >= f["least"] for f in figures.values())
    return 0 if good or os.environ.get("HSMDKIM_JUDGE") != "1" else 1


if __name__ == "__main__":
    sys.exit(main())
