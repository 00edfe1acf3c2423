"""A scikit-learn model of the irises as a program: JSON Lines in, JSON Lines out.

iris_program.py fit MODEL writes the model; iris_program.py MODEL reads records until its input ends, and answers what it
has read at once, so that it can be started for each block or kept.
"""

import json
import os
import pickle
import sys

if sys.argv[1] == "fit":
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(*load_iris(return_X_y=True))
    with open(sys.argv[2], "wb") as file:
        pickle.dump(fitted, file)
    sys.exit()

with open(sys.argv[1], "rb") as file:
    model = pickle.load(file)
rest = b""
while chunk := os.read(0, 1 << 20):
    *lines, rest = (rest + chunk).split(b"\n")
    if lines:
        records = [json.loads(line) for line in lines]
        species = model.predict([[record["a"], record["b"], record["c"], record["d"]] for record in records])
        sys.stdout.write("".join('{"score": %d}\n' % number for number in species))
        sys.stdout.flush()
