"""JSON Lines in, predictions as JSON Lines out, over HTTP: the script that people write.

aiohttp_script.py URL INPUT OUTPUT --records-per-request N --in-flight N [--tuned]
"""

import argparse
import asyncio
import itertools
import json

import aiohttp

FEATURES = ("a", "b", "c", "d")


def batches(lines, size):
    """size records at a time."""
    while chunk := [loads(line) for line in itertools.islice(lines, size)]:
        yield chunk


async def worker(session, url, chunks, output):
    for chunk in chunks:  # shared by all workers
        data = [record[name] for record in chunk for name in FEATURES]
        body = {"inputs": [{"name": "input", "shape": [len(chunk), len(FEATURES)], "datatype": "FP64", "data": data}]}
        async with session.post(url, data=dumps(body), headers={"Content-Type": "application/json"}) as response:
            response.raise_for_status()
            answer = loads(await response.read())
        scores = answer["outputs"][0]["data"]
        if len(scores) != len(chunk):
            raise ValueError(f"{len(scores)} predictions for {len(chunk)} records")
        output.write(b"".join(dumps({"id": r["id"], "score": s}) + b"\n" for r, s in zip(chunk, scores)))


async def main():
    connector = aiohttp.TCPConnector(limit=args.in_flight)
    with open(args.input, "rb") as lines, open(args.output, "wb") as output:
        chunks = batches(lines, args.records_per_request)
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(worker(session, args.url, chunks, output) for _ in range(args.in_flight)))


parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("input")
parser.add_argument("output")
parser.add_argument("--records-per-request", type=int, required=True)
parser.add_argument("--in-flight", type=int, required=True)
parser.add_argument("--tuned", action="store_true", help="with uvloop and orjson")
args = parser.parse_args()
if args.tuned:
    import orjson
    import uvloop

    loads, dumps, run = orjson.loads, orjson.dumps, uvloop.run
else:
    loads, dumps, run = json.loads, lambda value: json.dumps(value).encode(), asyncio.run
run(main())
