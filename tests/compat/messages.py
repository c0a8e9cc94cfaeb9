"""Messages and envelopes of the compatibility cases: short names for what a table row varies."""
import dataclasses

from twins import milterclient

DEFAULT = (("From", "Alice <alice@example.com>"), ("To", "Bob <bob@example.net>"), ("Subject", "A test"),
           ("Date", "Tue, 24 Nov 2026 10:00:00 +0000"), ("Message-ID", "<1@example.com>"))
BODY = b"Hello Bob,\r\n\r\n  this is it. \r\n"


def message(fields=DEFAULT, body=BODY, space=" "):
    return milterclient.Message([(name.encode(), (space + value).encode("utf-8", "surrogateescape"))
                                 for name, value in fields], body)


def author(value, *more):
    """A message with this From value (None: no From), and more fields behind it."""
    fields = [("From", value)] if value is not None else []
    return message(tuple(fields) + DEFAULT[1:] + more)


def extra(*more, body=BODY):
    return message(DEFAULT + more, body)


def envelope(host="localhost", address="127.0.0.1", recipients=("bob@example.net",), sender="alice@example.com",
             daemon_name="mail.example.com", **macros):
    """macros: those that come with MAIL FROM, auth_type="PLAIN"; names of several letters get their braces."""
    start = milterclient.Envelope()
    connect = dict(start.macros_connect)
    connect[b"{daemon_name}"] = daemon_name.encode()
    named = {(b"{%s}" % name.encode() if len(name) > 1 else name.encode()): value.encode()
             for name, value in macros.items()}
    return dataclasses.replace(start, host=host.encode(), address=address, sender=b"<%s>" % sender.encode(),
                               recipients=tuple(b"<%s>" % one.encode() for one in recipients),
                               macros_connect=connect, macros_mail=named)


@dataclasses.dataclass
class Sent:
    """A message of a configuration: its name in the report, and what is sent."""
    name: str
    message: milterclient.Message = dataclasses.field(default_factory=message)
    envelope: milterclient.Envelope = dataclasses.field(default_factory=envelope)


@dataclasses.dataclass
class Setup:
    """One configuration: only what differs from the base that test_compat.py gives all of them."""
    name: str
    settings: dict
    messages: list
    files: dict = dataclasses.field(default_factory=dict)
    base: str = "single"  # or "tables", "none"
