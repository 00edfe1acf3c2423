"""A scikit-learn model of the irises behind HTTP, by the Open Inference Protocol. Port by PORT."""

import os

import numpy
from aiohttp import web
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

features, species = load_iris(return_X_y=True)
model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(features, species)


async def ready(_):
    return web.json_response({})


async def describe(_):
    return web.json_response({"name": "iris", "inputs": [{"name": "input", "datatype": "FP64", "shape": [-1, 4]}]})


async def infer(request):
    tensor = (await request.json())["inputs"][0]
    records = numpy.array(tensor["data"], dtype=float).reshape(tensor["shape"])
    probabilities = model.predict_proba(records)
    output = {"name": "probabilities", "datatype": "FP64", "shape": probabilities.shape, "data": probabilities.ravel().tolist()}
    return web.json_response({"model_name": "iris", "outputs": [output]})


app = web.Application(client_max_size=64 << 20)
app.router.add_get("/v2/health/ready", ready)
app.router.add_get("/v2/models/iris/ready", ready)
app.router.add_get("/v2/models/iris", describe)
app.router.add_post("/v2/models/iris/infer", infer)
web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), print=None, access_log=None)
