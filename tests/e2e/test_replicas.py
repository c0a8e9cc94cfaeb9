#!/usr/bin/python3
"""One key on two tokens: one of them dies under load, in each way that tokens die, and no message fails."""
import os
import shutil
import threading
import time

import faultcase
import harness

CLIENTS = 8
BEFORE = 40  # messages before the fault, and with it
DURING = 80
PATIENCE_S = 120


class Replicas(faultcase.FaultCase):
    """Token A is reached through the module that fails by a script, token B through SoftHSM itself."""

    def setUp(self):
        super().setUp()
        harness.need_token(self)
        self.token = harness.TokenDirectory(self.path("token"))
        for name in ("replicaA", "replicaB"):
            self.token.make(name, f"only{name[-1]}=rsa:1024")
        key = self.path("twin.pem")
        self.zone = {"twin._domainkey.example.com": harness.make_key_file(key, owner="root")}
        environment = {**os.environ, **self.token.environment()}
        for name in ("replicaA", "replicaB"):
            harness.run(["softhsm2-util", "--import", key, "--token", name, "--label", "twin", "--id", "aa", "--pin",
                         self.token.pin], env=environment)
        self.token.give()
        # One file is one module to the loader; the proxy's must not be the one that B uses.
        self.copy = shutil.copy(harness.SOFTHSM, self.path("softhsm-copy.so"))
        self.write("KeyTable", "twin example.com:twin:pkcs11:object=twin\n")
        self.write("SigningTable", "*@example.com twin\n")
        self.write("TokenTable", "".join(
            f"{name} pkcs11:token={name}?module-path={module}&pin-source=file:{self.token.pin_file} sessions=2\n"
            for name, module in (("replicaA", faultcase.FAULTMOD), ("replicaB", harness.SOFTHSM))))

    def start_replicas(self):
        self.fault("")
        environment = {**self.token.environment(), **self.environment(), "HSMDKIM_FAULT_MODULE": self.copy}
        return self.daemon({"KeyTable": self.path("KeyTable"), "SigningTable": "refile:" + self.path("SigningTable"),
                            "TokenTable": self.path("TokenTable"), "TokenTimeout": "20s"}, environment,
                           allowed=[faultcase.EXPECTED])

    def signatures_of_a(self):
        """How many signatures A has made."""
        with open(self.calls, encoding="ascii") as file:
            return sum(" C_Sign 0x0 " in line for line in file)

    def lose(self, script, daemon):
        """Once both tokens sign: on a busy host one may come into service late."""
        harness.wait_for(lambda: self.signatures_of_a() > 0, PATIENCE_S, f"A signs, too\n{daemon.log()}")
        self.fault(script)

    def under_load(self, daemon, kill):
        """Clients send all the time; kill() is called in the middle. @return all outcomes"""
        stop, outcomes, errors = threading.Event(), [], []

        def client():
            while not stop.is_set():
                try:
                    outcomes.append(daemon.send(harness.MESSAGE))
                except Exception as error:  # a client that dies is a message that failed
                    errors.append(error)

        def wait_more(count):
            goal = len(outcomes) + count
            harness.wait_for(lambda: errors or len(outcomes) >= goal, PATIENCE_S, f"{count} more messages are answered")

        threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            wait_more(BEFORE)
            kill()
            wait_more(DURING)
        finally:
            stop.set()
            for thread in threads:
                thread.join(PATIENCE_S)
        self.assertEqual([], errors)
        return outcomes

    def assert_none_failed(self, outcomes):
        for outcome in outcomes:
            self.assertTrue(outcome.accepted, f"{outcome.answer} {outcome.reply}")
            self.assertEqual(1, len(outcome.signatures))
        for outcome in outcomes[::10]:
            self.assert_signed(outcome, ("twin",))

    def test_fault_of_one(self):
        """Each way to die; the other token signs what the first one does not."""
        for script in ("* all return CKR_DEVICE_REMOVED", "* all return CKR_TOKEN_NOT_PRESENT", "* all return CKR_DEVICE_ERROR",
                       "C_Sign all lie flip", "C_Sign all hang", "C_Sign all delay 3000"):
            with self.subTest(script=script):
                daemon = self.start_replicas()
                try:
                    self.forget_calls()
                    self.assert_none_failed(self.under_load(daemon, lambda: self.lose(script, daemon)))
                finally:
                    self.fault("")
                    daemon.stop(expected_status=None)

    @staticmethod
    def folder_of(tokens, name):
        for folder in os.listdir(tokens):
            with open(os.path.join(tokens, folder, "token.object"), "rb") as file:
                if name.encode() in file.read():
                    return folder
        raise AssertionError(f"no token {name} in {tokens}")

    def test_directory_of_one_moved_away(self):
        """The whole token is gone behind its module's back, and comes back."""
        tokens = os.path.join(self.token.path, "tokens")
        for name in ("replicaA", "replicaB"):
            with self.subTest(token=name):
                daemon = self.start_replicas()
                folder = self.folder_of(tokens, name)
                home, away = os.path.join(tokens, folder), self.path("away")
                try:
                    self.assert_none_failed(self.under_load(daemon, lambda: os.rename(home, away)))
                finally:
                    os.rename(away, home)
                started = time.monotonic()
                while time.monotonic() - started < 3:
                    self.assert_none_failed([daemon.send(harness.MESSAGE)])
                daemon.stop(expected_status=None)


if __name__ == "__main__":
    harness.main()
