"""What the batch pattern's published sample does each hour, once.

It loads the items without a prediction, asks for one prediction per record in
four threads, and then looks up, changes, commits and refreshes the rows one by
one. The session holds every item that was loaded and expires all of them with
each commit, so that twice the rows take more than twice the time.

published_job.py DSN PREDICT_URL
"""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import requests
from sqlalchemy import JSON, Column, Integer, create_engine
from sqlalchemy.orm import Session, declarative_base

Base = declarative_base()
FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
local = threading.local()


class Item(Base):
    __tablename__ = "items"
    id = Column(Integer, primary_key=True)
    values = Column(JSON, nullable=False)
    prediction = Column(JSON(none_as_null=True))


def predict(item):
    if not hasattr(local, "session"):
        local.session = requests.Session()
    record = [item.values[name] for name in FEATURES]
    body = {"inputs": [{"name": "input", "shape": [1, len(record)], "datatype": "FP64", "data": record}]}
    answer = local.session.post(url, json=body)
    answer.raise_for_status()
    return item.id, answer.json()["outputs"][0]["data"]


dsn, url = sys.argv[1:]
scheme, rest = dsn.split("://", 1)
driver = {"postgres": "postgresql+psycopg2", "mariadb": "mariadb+pymysql"}[scheme]
with Session(create_engine(f"{driver}://{rest}")) as db:
    items = db.query(Item).filter(Item.prediction.is_(None)).all()
    with ThreadPoolExecutor(4) as executor:
        predictions = dict(executor.map(predict, items))
    for key, prediction in predictions.items():
        item = db.query(Item).filter(Item.id == key).first()
        item.prediction = prediction
        db.commit()
        db.refresh(item)
