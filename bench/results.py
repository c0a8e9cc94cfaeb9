"""What was measured so far, one JSON file a part: a run that was interrupted goes on with the parts that are missing."""
import json
import os
import time


class Results:
    """Parts by name; each is what its measurement returned, with when and under which load."""

    def __init__(self, directory):
        self.dir = directory
        os.makedirs(directory, exist_ok=True)

    def path(self, part):
        return os.path.join(self.dir, part + ".json")

    def has(self, part):
        return os.path.exists(self.path(part))

    def get(self, part):
        """@return its figures, None when it was not measured"""
        if not self.has(part):
            return None
        with open(self.path(part), encoding="utf-8") as f:
            return json.load(f)

    def put(self, part, data, load_before, seconds):
        entry = {"data": data, "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()), "seconds": round(seconds),
                 "load": [round(x, 1) for x in (load_before, os.getloadavg()[0])]}
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
