"""Sums up the numeric columns of a CSV file; leaves a bar chart of their means in outputs/chart.svg."""
import csv
import json
import math
import os
import sys
from xml.sax.saxutils import escape

WIDTH, BAR, GAP, LABEL = 640, 24, 12, 160


def number(text):
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def read(path, delimiter):
    columns, rows = {}, 0
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as f:
        reader = csv.DictReader(f, delimiter=delimiter)
        for row in reader:
            rows += 1
            for name, text in row.items():
                value = number(text) if isinstance(name, str) and isinstance(text, str) else None
                if value is None:
                    continue
                c = columns.setdefault(name, {"name": name, "count": 0, "min": value, "max": value, "sum": 0.0})
                c["count"] += 1
                c["min"], c["max"] = min(c["min"], value), max(c["max"], value)
                c["sum"] += value
    for c in columns.values():
        c["mean"] = c.pop("sum") / c["count"]
    return rows, list(columns.values())


def chart(columns):
    most = max((abs(c["mean"]) for c in columns), default=0) or 1
    height = GAP + len(columns) * (BAR + GAP)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="13">',
             f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>']
    for i, c in enumerate(columns):
        y = GAP + i * (BAR + GAP)
        width = abs(c["mean"]) / most * (WIDTH - LABEL - 120)
        lines.append(f'<text x="{LABEL - 8}" y="{y + 17}" text-anchor="end">{escape(c["name"][:24])}</text>')
        lines.append(f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}" fill="#2f6f9f"/>')
        lines.append(f'<text x="{LABEL + width + 6:.1f}" y="{y + 17}">{c["mean"]:.4g}</text>')
    return "\n".join(lines + ["</svg>", ""])


inputs = json.load(sys.stdin)
path = os.path.join("inputs/materials", os.path.basename(inputs["file"]))
if not os.path.exists(path):
    sys.exit(f"there is no file {inputs['file']}; was it uploaded, and named in file_source_ids?")
rows, columns = read(path, inputs.get("delimiter", ","))
print(f"::progress 80 {rows} rows read", file=sys.stderr, flush=True)
with open("outputs/chart.svg", "w", encoding="utf-8") as f:
    f.write(chart(columns))
json.dump({"rows": rows, "columns": columns}, sys.stdout)
