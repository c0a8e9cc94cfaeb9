#!/usr/bin/python3
"""Prometheus metrics: what they say while mail flows, and the process that serves them."""
import contextlib
import http.client
import os
import pwd
import re
import socket
import stat
import subprocess

import harness
import postfix
import test_ctl

SAMPLE = re.compile(r'^(?P<name>[a-z_]+)(?:\{(?P<labels>[^{}]*)\})? (?P<value>-?\d+(?:\.\d+)?)$')


def parse_metrics(text):
    """{name: {labels: value}} of Prometheus text; every sample has its HELP and TYPE before it."""
    samples, types = {}, {}
    for line in text.splitlines():
        if line.startswith("#"):
            _, word, name, rest = line.split(" ", 3)
            assert word in ("HELP", "TYPE"), line
            if word == "TYPE":
                assert name not in types and rest in ("counter", "gauge", "histogram"), line
                types[name] = rest
            continue
        match = SAMPLE.match(line)
        assert match, line
        base = re.sub("_(bucket|sum|count)$", "", match["name"])
        assert match["name"] in types or types[base] == "histogram", line
        labels = match["labels"] or ""
        assert labels not in samples.setdefault(match["name"], {}), line
        samples[match["name"]][labels] = float(match["value"])
    return samples


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Metrics(test_ctl.Base):
    def setUp(self):
        super().setUp()
        self.port = postfix.free_port()
        self.listen = {"MetricsListen": f"127.0.0.1:{self.port}", **self.control}

    def get(self, path="/metrics", method="GET", connection=None):
        connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.getheader("Content-Type"), response.read().decode()

    def scrape(self):
        """Metrics; a process that is starting is waited for."""
        def find():
            with contextlib.suppress(OSError, http.client.HTTPException):
                return self.get()
            return None
        status, kind, text = harness.wait_for(find, 30, "metrics are served")
        self.assertEqual((200, True), (status, kind.startswith("text/plain; version=0.0.4")), text)
        return parse_metrics(text)

    def metrics_pid(self, daemon):
        def find():
            children = harness.children_of(daemon.process.pid)
            return next((pid for pid, command in children.items() if "hsmdkim-metrics" in command[0]), None)
        return harness.wait_for(find, 20, "there is a metrics process")

    def test_counters_rise_with_mail(self):
        daemon = self.token_daemon(self.listen)
        self.assert_signed(daemon.send(harness.MESSAGE))
        before = self.scrape()
        for _ in range(4):
            self.assert_signed(daemon.send(harness.MESSAGE))
        after = self.scrape()
        for name, labels in (("hsmdkim_messages_total", 'class="signed"'), ("hsmdkim_messages_seen_total", ""),
                             ("hsmdkim_signatures_total", 'token="token"'), ("hsmdkim_signature_seconds_count", 'token="token"')):
            self.assertEqual((1, 5), (before[name][labels], after[name][labels]), name)
        self.assertEqual(1, after["hsmdkim_token_up"]['token="token"'])
        self.assertEqual({'process="signer"': 1, 'process="milter"': 1}, after["hsmdkim_process_up"])
        buckets = [value for labels, value in after["hsmdkim_signature_seconds_bucket"].items() if 'token="token"' in labels]
        self.assertEqual((sorted(buckets), 5), (buckets, buckets[-1]))
        self.assertTrue(0 < after["hsmdkim_signature_seconds_sum"]['token="token"'] < 60)
        text = self.get()[2]
        self.assertNotIn("example.com", text)
        self.assertNotIn("rsa2048", text)
        self.assertEqual(set(parse_metrics(self.ctl("metrics"))), set(after), "hsmdkim-ctl shows the same")

    def test_failures_are_counted(self):
        self.token = harness.TokenDirectory(self.path("token")).make()
        self.token_daemon({**self.listen, "PKCS11PinSource": "file:" + self.write("wrong-pin", test_ctl.WRONG_PIN + "\n")},
                          token=self.token, allowed=["PIN", "out of service", "cannot"])
        # before the signer reports for the first time there are no token metrics at all
        metrics = harness.wait_for(lambda: (m := self.scrape()).get("hsmdkim_token_pin_refused", {}).get('token="token"') and m, 20, "refused")
        self.assertEqual(0, metrics["hsmdkim_token_up"]['token="token"'])
        self.daemons[0].send(harness.MESSAGE)
        self.assertEqual(1, self.scrape()["hsmdkim_messages_total"]['class="deferred"'])

    def test_unix_socket_and_http(self):
        path = self.path("metrics.sock")
        self.file_key_daemon({**self.listen, "MetricsListen": path, "UMask": "0117"})
        harness.wait_for(lambda: os.path.exists(path), 20, "the socket is there")
        self.assertEqual(0o660, stat.S_IMODE(os.stat(path).st_mode))

        def get(*arguments):
            return self.get(*arguments, connection=UnixConnection(path))
        self.assertIn("hsmdkim_messages_seen_total 0", get()[2])
        self.assertEqual((404, 405, 200), tuple(get(*arguments)[0] for arguments in (("/",), ("/metrics", "POST"), ("/metrics", "HEAD"))))

    def test_addresses_that_are_refused(self):
        for value in ("0.0.0.0:9320", "[::]:9320", "192.0.2.1:9320", "9320", ":9320", "example.com:9320", "127.0.0.1:0",
                      "127.0.0.1:65536", "127.0.0.1", "/" + "x" * 200):
            with self.subTest(value=value):
                conf = self.write("conf", f"Mode s\nSocket local:{self.path('s')}\nMetricsListen {value}\n")
                result = subprocess.run([os.path.join(harness.BIN, "hsmdkim"), "-n", "-x", conf], capture_output=True, text=True,
                                        check=False)
                self.assertEqual((78, True), (result.returncode, "MetricsListen" in result.stderr), result.stderr)
        for value in ("control", "local:/x", "/" + "x" * 107):
            conf = self.write("conf", f"Mode s\nSocket local:{self.path('s')}\nControlSocket {value}\n")
            result = subprocess.run([os.path.join(harness.BIN, "hsmdkim"), "-n", "-x", conf], capture_output=True, text=True, check=False)
            self.assertEqual((78, True), (result.returncode, "ControlSocket" in result.stderr), result.stderr)
        for value in (f"localhost:{self.port}", f"[::1]:{self.port}", f"127.9.9.9:{self.port}", "unix:/x"):
            conf = self.write("conf", f"Mode s\nSocket local:{self.path('s')}\nMetricsListen {value}\n")
            harness.run([os.path.join(harness.BIN, "hsmdkim"), "-n", "-x", conf])

    def test_it_is_started_again_and_mail_does_not_care(self):
        daemon = self.file_key_daemon(self.listen, allowed=["metrics process: ended with signal 9"])
        self.scrape()
        pid = self.metrics_pid(daemon)
        os.kill(pid, harness.signal.SIGSTOP)
        self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))
        os.kill(pid, harness.signal.SIGKILL)
        daemon.expect("metrics process: ended with signal 9")
        self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))
        self.assertEqual(2, self.scrape()["hsmdkim_messages_total"]['class="signed"'])
        self.assertNotEqual(pid, self.metrics_pid(daemon))

    def test_hostile_clients(self):
        daemon = self.file_key_daemon(self.listen)
        self.scrape()
        with contextlib.ExitStack() as stack:
            for number in range(60):
                with contextlib.suppress(OSError):
                    sock = stack.enter_context(socket.create_connection(("127.0.0.1", self.port), 5))
                    sock.sendall((b"", b"GET /metr", b"\xff" * 4096, b"POST / HTTP/1.1\r\nContent-Length: 999999\r\n\r\nx")[number % 4])
            self.assert_signed(daemon.send(harness.MESSAGE), ("sel",))
        self.scrape()

    def test_what_the_process_may_do(self):
        daemon = self.file_key_daemon(self.listen)
        self.scrape()
        with open(f"/proc/{self.metrics_pid(daemon)}/status", encoding="ascii") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        self.assertEqual(("2", "1", "1"), (status["Seccomp"], status["NoNewPrivs"], status["Threads"].strip()))
        if os.geteuid() == 0:
            self.assertEqual({str(pwd.getpwnam(harness.USER).pw_uid)}, set(status["Uid"].split()))
        for pid in (daemon.process.pid, daemon.milter_pid(), daemon.signer_pid()):
            with open(f"/proc/{pid}/maps", encoding="ascii") as file:
                self.assertNotIn("microhttpd", file.read(), "no other process maps an HTTP server")


if __name__ == "__main__":
    harness.main()
