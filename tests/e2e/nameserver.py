"""A real BIND (or Knot) on 127.0.0.x with zones from text, for the tests of the tools and of verifying."""
import os
import re
import shutil
import socket
import subprocess
import time
import unittest

from harness import ENDS_WITH_US


def free_port(addresses=("127.0.0.1",)):
    """A port that is free for TCP and UDP on each address."""
    for _ in range(50):
        with socket.socket() as probe:
            probe.bind((addresses[0], 0))
            port = probe.getsockname()[1]
        try:
            for address in addresses:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    with socket.socket(socket.AF_INET, kind) as probe:
                        probe.bind((address, port))
            return port
        except OSError:
            continue
    raise AssertionError("no free port")


def find_program(name):
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        if os.environ.get("REQUIRE_ALL") == "1":
            raise AssertionError(name + " is not installed")
        raise unittest.SkipTest(name + " is not installed")
    return path


SOA = "$TTL 60\n@ SOA ns1 hostmaster 1 3600 600 86400 0\n"


class Server:
    """Set by the subclasses: address, port, process, log."""

    def at(self):
        return "%s@%d" % (self.address, self.port)

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


class Bind(Server):
    """named in the foreground. zones: name -> records (SOA and TTL are put before them)."""

    def __init__(self, folder, zones, address="127.0.0.1", port=None, options="", extra="", zone_options=None, strict=True):
        self.strict = strict
        self.folder = folder
        self.address = address
        self.port = port or free_port((address,))
        os.makedirs(folder, exist_ok=True)
        conf = ['options { directory "%s"; listen-on port %d { %s; }; listen-on-v6 { none; };' % (folder, self.port, address),
                '  pid-file none; session-keyfile none; dnssec-validation no; allow-query { any; };',
                '  notify no; minimal-responses yes; %s };' % (options or "recursion no;"),
                'controls { };', extra]
        for zone, records in zones.items():
            path = os.path.join(folder, zone + ".zone")
            with open(path, "w", encoding="utf-8") as out:
                out.write(records if re.search(r"\sSOA\s", records) else SOA + records)
            conf.append('zone "%s" { type primary; file "%s"; %s };' % (zone, path, (zone_options or {}).get(zone, "")))
        path = os.path.join(folder, "named.conf")
        with open(path, "w", encoding="utf-8") as out:
            out.write("\n".join(conf) + "\n")
        self.log = open(os.path.join(folder, "named.log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen([*ENDS_WITH_US, find_program("named"), "-g", "-n", "1", "-c", path], stderr=self.log, stdout=self.log)
        self._wait()

    def _wait(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with open(self.log.name, encoding="utf-8") as log:
                text = log.read()
            if " running\n" in text:
                if "not loaded due to errors" in text and self.strict:
                    raise AssertionError("zone not loaded: " + text)
                return
            if self.process.poll() is not None:
                raise AssertionError("named ended: " + text)
            time.sleep(0.05)
        raise AssertionError("named did not start: " + text)


class Knot(Server):
    """knotd in the foreground; unlike named it listens on any address of 127.0.0.0/8."""

    def __init__(self, folder, zones, address="127.0.0.2", port=None, keys="", acl=""):
        self.address = address
        self.port = port or free_port((address,))
        os.makedirs(folder, exist_ok=True)
        conf = ["server:", "  rundir: %s" % folder, "  listen: %s@%d" % (address, self.port), "  automatic-acl: off",
                "database:", "  storage: %s" % folder, "log:", "  - target: stderr", "    any: info", keys,
                "template:", "  - id: default", "    storage: %s" % folder,
                acl, "zone:"]
        for zone, records in zones.items():
            with open(os.path.join(folder, zone + ".zone"), "w", encoding="utf-8") as out:
                out.write(records if re.search(r"\sSOA\s", records) else SOA + records)
            conf += ["  - domain: %s" % zone, "    file: %s.zone" % zone] + (["    acl: update"] if acl else [])
        path = os.path.join(folder, "knot.conf")
        with open(path, "w", encoding="utf-8") as out:
            out.write("\n".join(conf) + "\n")
        self.log = open(os.path.join(folder, "knot.log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen([*ENDS_WITH_US, find_program("knotd"), "-c", path], stderr=self.log, stdout=self.log)
        wait_answer(self, next(iter(zones)))


def wait_answer(server, zone):
    """Until the server has the zone's SOA."""
    import dns.message
    import dns.query
    import dns.rdatatype

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            answer = dns.query.udp(dns.message.make_query(zone, dns.rdatatype.SOA), server.address, port=server.port, timeout=0.2)
            if answer.answer:
                return
        except (OSError, dns.exception.Timeout):
            pass
        if server.process.poll() is not None:
            break
        time.sleep(0.05)
    with open(server.log.name, encoding="utf-8") as log:
        raise AssertionError("name server did not start: " + log.read())
