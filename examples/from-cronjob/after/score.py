#!/usr/bin/env python3
"""The same model for a job: a JSON object per line in, a JSON object per line out, in the same order."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import model

for line in sys.stdin:
    print(json.dumps(model.predict(json.loads(line))), flush=True)
