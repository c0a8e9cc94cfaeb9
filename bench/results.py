"""What was measured so far, one JSON file a part: a run that was interrupted goes on with the parts that are missing."""
import hashlib
import json
import os
import time


def fingerprint(paths):
    """Of the programs that are measured, those that are there: figures of another build are none of this one's."""
    digest = hashlib.sha256()
    for path in paths:
        if os.path.exists(path):
            with open(path, "rb") as f:
                digest.update(hashlib.sha256(f.read()).digest())
        digest.update(os.path.basename(path).encode() + b"\0")
    return digest.hexdigest()


class Results:
    """Parts by name; each is what its measurement returned, with when, under which load and under which conditions (values
    that JSON keeps). What was measured under others does not count, and is overwritten."""

    def __init__(self, directory, conditions):
        self.dir, self.conditions = directory, conditions
        os.makedirs(directory, exist_ok=True)

    def path(self, part):
        return os.path.join(self.dir, part + ".json")

    def has(self, part):
        return self.get(part) is not None

    def get(self, part):
        """@return its figures, None when it was not measured"""
        if not os.path.exists(self.path(part)):
            return None
        with open(self.path(part), encoding="utf-8") as f:
            entry = json.load(f)
        return entry if entry.get("conditions") == self.conditions else None

    def put(self, part, data, load_before, seconds):
        entry = {"data": data, "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()), "seconds": round(seconds),
                 "load": [round(x, 1) for x in (load_before, os.getloadavg()[0])], "conditions": self.conditions}
        with open(self.path(part) + ".new", "w", encoding="utf-8") as f:
            json.dump(entry, f, indent=1)
        os.replace(self.path(part) + ".new", self.path(part))

    def measure(self, part, measurement):
        """@return False when the measurement found a wrong output; then nothing is kept"""
        load, begun = os.getloadavg()[0], time.monotonic()
        data = measurement()
        if data is None:
            return False
        self.put(part, data, load, time.monotonic() - begun)
        return True
