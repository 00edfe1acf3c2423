#!/usr/bin/env python3
"""What cron started: everything in one go, and the night's file half-written where one row is broken."""

import csv
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import model

with open(sys.argv[1], newline="") as source, open(sys.argv[2], "w", newline="") as target:
    writer = csv.DictWriter(target, ["id", "label", "distance"])
    writer.writeheader()
    for row in csv.DictReader(source):
        writer.writerow({"id": row["id"], **model.predict(row)})
