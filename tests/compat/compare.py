"""Where two Observations differ, and which of the differences are known.

differences.py is the one table of accepted differences. Each of its rows names a row of docs/OPENDKIM.md, where the
reason stands; a difference that no row knows fails the test, and so does a row that nothing needs any more.
"""
import dataclasses
import os
import re

import differences
import twins

DOCS = os.path.join(twins.harness.ROOT, "docs/OPENDKIM.md")
PLAIN_TAGS = ("b", "t", "x")


@dataclasses.dataclass
class Found:
    """One difference of one case."""
    case: str
    aspect: str
    opendkim: object
    hsmdkim: object

    def __str__(self):
        return f"{self.case}: {self.aspect}\n  opendkim: {self.opendkim}\n  hsmdkim:  {self.hsmdkim}"


def lifetime(tags):
    return int(tags["x"]) - int(tags["t"]) if "x" in tags else None


def plain(tags):
    """The tags in their order, without those that the clock decides."""
    return [(name, "".join(value.split()) if name == "z" else value)
            for name, value in tags.items() if name not in PLAIN_TAGS]


def same_second(left, right):
    return [tags.get("t") for tags in left] == [tags.get("t") for tags in right]


def aspects(seen, valid):
    """Yields (aspect, what OpenDKIM has, what hsmdkim has). valid: {name: [bool for each signature]}"""
    left, right = (seen[name] for name in twins.NAMES)
    yield "answer", left.answer, right.answer
    yield "reply", left.reply, right.reply
    yield "quarantine", left.quarantine, right.quarantine
    yield "signatures", len(left.signatures), len(right.signatures)
    for a, b in zip(left.signatures, right.signatures):
        yield "tags", plain(a), plain(b)
        yield "lifetime", lifetime(a), lifetime(b)
    yield "layout", left.layout, right.layout
    if left.whole_layout == right.whole_layout and same_second(left.signatures, right.signatures):
        yield "signature bytes", [tags["b"] for tags in left.signatures], [tags["b"] for tags in right.signatures]
    yield "valid", valid[twins.OPENDKIM], valid[twins.HSMDKIM]
    yield "places", left.places, right.places
    if left.answer == right.answer == "passed":  # else nobody sees them
        yield "results", left.results, right.results
    yield "other changes", left.other_changes, right.other_changes
    yield "log", left.log, right.log


def differing(case, seen, valid):
    return [Found(case, aspect, a, b) for aspect, a, b in aspects(seen, valid) if a != b]


def row_explains(row, found):
    return (re.fullmatch(row.case, found.case) and re.fullmatch(row.aspect, found.aspect)
            and re.search(row.ours, str(found.hsmdkim), re.S))


class Known:
    """The table of accepted differences, and which rows were needed."""

    def __init__(self):
        self.rows = differences.ACCEPTED
        self.used = set()

    def explains(self, found):
        for number, row in enumerate(self.rows):
            if row_explains(row, found):
                self.used.add(number)
                return True
        return False

    def stale(self):
        return [row for number, row in enumerate(self.rows) if number not in self.used and not row.may_be_unused]

    def undocumented(self):
        """Rows whose reason is not in the document."""
        with open(DOCS, encoding="utf-8") as file:
            cells = {line.split("|")[1].strip() for line in file if line.startswith("|")}
        return sorted({row.documented for row in self.rows} - cells)


def differing_runs(case, seen):
    """One call of each: exit status, standard output, standard error."""
    left, right = (seen[name] for name in twins.NAMES)
    return [Found(case, aspect, a, b) for aspect, a, b in zip(("status", "output", "errors"), left, right) if a != b]


def differing_status(case, status):
    """Both read a configuration or both refuse it, with the same exit status."""
    left, right = (twins.status_text(status[name]) for name in twins.NAMES)
    return [] if left == right else [Found(case, "configuration", left, right)]
