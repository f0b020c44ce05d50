"""Counts the words of inputs/materials/FILE. Inputs come on stdin, outputs go to stdout, both one JSON object."""
import collections
import json
import os
import re
import sys

inputs = json.load(sys.stdin)
path = os.path.join("inputs/materials", os.path.basename(inputs["file"]))
if not os.path.exists(path):
    sys.exit(f"there is no file {inputs['file']}; was it uploaded, and named in file_source_ids?")
size = os.path.getsize(path) or 1
lines = words = characters = done = 0
seen = collections.Counter()
with open(path, "rb") as f:
    for raw in f:
        line = raw.decode("utf-8", "replace")
        lines += 1
        characters += len(line)
        found = re.findall(r"\w+(?:['’-]\w+)*", line.lower())
        words += len(found)
        seen.update(found)
        done += len(raw)
        if lines % 10000 == 0:
            print(f"::progress {100 * done // size} {lines} lines", file=sys.stderr, flush=True)
print(f"{inputs['file']}: {lines} lines", file=sys.stderr)
top = sorted(seen.items(), key=lambda item: (-item[1], item[0]))[:inputs.get("top", 5)]
json.dump({"lines": lines, "words": words, "characters": characters,
           "top": [{"word": word, "count": count} for word, count in top]}, sys.stdout)
