#!/usr/bin/python3
"""Minutes of load while the token fails at random: every message is answered, none goes out unsigned, and memory,
descriptors and threads of the processes stay flat.

HSMDKIM_SOAK_S  how long, in seconds (default 20; a release is tried with 600)
"""
import collections
import itertools
import os
import threading
import time

import faultcase
import harness

DURATION_S = float(os.environ.get("HSMDKIM_SOAK_S", "20"))
CLIENTS = 8
PERIOD_S = max(6.0, DURATION_S / 12)  # then comes a fault that ends the signer process
SAMPLE_S = 0.5
WARM_UP_S = 2.0
VERIFY_EACH = 100  # dkimpy takes its time

# All the time. Not here: a PIN that is refused, which ends a token, as it must; sessions that are closed and logins that
# end behind the back of others that sign: SoftHSM itself does not survive that (test_token_faults has one at a time).
SOFT = """C_Sign chance 3 return CKR_DEVICE_ERROR
C_Sign chance 2 return CKR_SESSION_HANDLE_INVALID
C_Sign chance 1 return CKR_USER_NOT_LOGGED_IN
C_Sign chance 1 return CKR_DEVICE_MEMORY
C_Sign chance 1 lie flip
C_Sign chance 5 delay 50
C_SignInit chance 2 return CKR_KEY_HANDLE_INVALID
C_SignInit chance 1 return CKR_OPERATION_ACTIVE
C_OpenSession chance 3 return CKR_DEVICE_ERROR
C_FindObjects chance 2 return CKR_DEVICE_ERROR
C_GetAttributeValue chance 1 return CKR_DEVICE_ERROR
"""
# At the end of each period, in turn: only a new signer process helps.
HARD = ("C_Sign call 20 crash", "C_Sign from 20 hang", "C_SignInit call 20 crash", "* all return CKR_CRYPTOKI_NOT_INITIALIZED")

# What of a process may grow: from the highest value of its first half to that of its second one.
FLAT = {"KiB": lambda first: first * 1.15 + 8192, "descriptors": lambda first: first + 4, "threads": lambda first: first + 2}


def sample(pid):
    """@return the values of FLAT; None when the process is gone"""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            status = dict(line.split(":", 1) for line in file if ":" in line)
        return {"KiB": int(status["VmRSS"].split()[0]), "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
                "threads": int(status["Threads"])}
    except (OSError, KeyError):
        return None


class Soak(faultcase.FaultCase):
    def watch(self, daemon):
        """Samples until self.stop, by process."""
        while not self.stop.wait(SAMPLE_S):
            now = time.monotonic()
            for pid, command in list(harness.children_of(daemon.process.pid).items()) + [(daemon.process.pid, ["supervisor"])]:
                values = sample(pid)
                if values:
                    daemon.family.add(pid)
                    self.samples[pid].append((now, values))
                    self.names[pid] = os.path.basename(command[0])

    def client(self, daemon):
        while not self.stop.is_set():
            try:
                outcome = daemon.send(harness.MESSAGE)
            except Exception as error:  # every message is answered
                self.bad.append(f"no answer: {error!r}")
                continue
            if outcome.signatures and outcome.accepted:
                self.counts["signed"] += 1
                if self.counts["signed"] % VERIFY_EACH == 1:
                    self.to_verify.append(outcome)
            elif outcome.temporary:
                self.counts["deferred"] += 1
            else:
                self.bad.append(f"{outcome.answer} {outcome.reply}")

    def new_signer(self, daemon, script):
        pid = daemon.signer_pid()
        self.fault(script)
        harness.wait_for(lambda: daemon.signer_pid() != pid, 60, f"a new signer process after {script}")

    def soak(self, daemon):
        """@return the number of signatures of each period"""
        end, signed = time.monotonic() + DURATION_S, []
        for hard in itertools.cycle(HARD):
            before = self.counts["signed"]
            self.fault(SOFT)
            self.stop.wait(max(1.0, min(PERIOD_S, end - time.monotonic())))
            signed.append(self.counts["signed"] - before)
            if time.monotonic() >= end:
                return signed
            self.new_signer(daemon, hard)

    def assert_flat(self):
        for pid, samples in self.samples.items():
            samples = [values for when, values in samples if when - samples[0][0] >= WARM_UP_S]
            half = len(samples) // 2
            if half < 4:
                continue  # it did not live long enough to say
            for name, limit in FLAT.items():
                first = max(values[name] for values in samples[:half])
                second = max(values[name] for values in samples[half:])
                self.assertLessEqual(second, limit(first), f"{name} of {self.names[pid]} ({pid}), {len(samples)} samples")

    def test_random_faults(self):
        self.stop, self.bad, self.to_verify = threading.Event(), [], []
        self.samples, self.names = collections.defaultdict(list), {}
        self.counts = collections.Counter()
        daemon = self.start(TokenSessions="4", TokenTimeout="3s")
        self.assert_signed(daemon.send(harness.MESSAGE))
        threads = [threading.Thread(target=self.client, args=(daemon,)) for _ in range(CLIENTS)]
        threads.append(threading.Thread(target=self.watch, args=(daemon,)))
        for thread in threads:
            thread.start()
        try:
            periods = self.soak(daemon)
        finally:
            self.fault("")
            self.stop.set()
            for thread in threads:
                thread.join(60)
        print(f"{self.counts['signed']} signed, {self.counts['deferred']} deferred, by period {periods}, "
              f"{sum(name == 'hsmdkim-signer' for name in self.names.values())} signer processes")
        self.assertEqual([], self.bad[:10])
        self.assertTrue(all(periods), f"mail is signed between the faults: {periods}")
        for outcome in self.to_verify:
            self.assert_signed(outcome)
        self.wait_signed(daemon)
        self.assert_no_pin_twice_after_refusal()
        self.assert_flat()


if __name__ == "__main__":
    harness.main()
