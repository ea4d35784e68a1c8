"""Has the BigQuery emulator judge the answers that bigquill calls proved: a second, newer build of GoogleSQL.

    python3 tests/eval/emulator.py EMULATOR CATALOGS ANSWERS.jsonl QUESTIONS.jsonl[.gz]

EMULATOR is goccy/bigquery-emulator 0.8.1, CATALOGS a folder of `bigquill catalog import`, ANSWERS the output of
`bigquill ask --jsonl`, QUESTIONS its input with `id` and `catalog`. Each catalog's tables are made in the emulator, each
proved answer is dry-run there; answers that it refuses are printed. Needs nothing but Python.
"""

import collections
import gzip
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

PROJECT = "test"


def lines(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Emulator:
    def __init__(self, program):
        port, grpc = free_port(), free_port()
        self.base = f"http://127.0.0.1:{port}/bigquery/v2/projects/{PROJECT}"
        self.log = tempfile.TemporaryFile()
        command = [program, f"--project={PROJECT}", "--host", "127.0.0.1", "--port", str(port), "--grpc-port", str(grpc)]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 30
        while True:
            try:
                self.call("GET", "/datasets")
                return
            except (urllib.error.URLError, ConnectionError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def call(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"{}")

    def make(self, tables):
        tables = list(tables)
        for dataset in {t["tableReference"]["datasetId"] for t in tables}:
            self.call("POST", "/datasets", {"datasetReference": {"projectId": PROJECT, "datasetId": dataset}})
        for table in tables:
            reference = table["tableReference"]
            body = {"tableReference": {**reference, "projectId": PROJECT}, "schema": table["schema"]}
            self.call("POST", f"/datasets/{reference['datasetId']}/tables", body)

    def dry_run(self, number, sql):
        """None where the statement holds, else what is wrong."""
        query = {"query": sql, "useLegacySql": False}
        job = {
            "jobReference": {"projectId": PROJECT, "jobId": f"dry-{number}"},
            "configuration": {"dryRun": True, "query": query},
        }
        try:
            status = self.call("POST", "/jobs", job).get("status", {})
        except urllib.error.HTTPError as error:
            return json.loads(error.read())["error"]["message"]
        return status.get("errorResult", {}).get("message")


def main():
    program, catalogs, answers, questions = sys.argv[1:5]
    catalog_of = {q["id"]: q["catalog"] for q in lines(questions)}
    proved = collections.defaultdict(list)
    for answer in lines(answers):
        if answer.get("proved"):
            proved[catalog_of[answer["id"]]].append(answer)
    emulator, count, refused = Emulator(program), 0, 0
    try:
        for catalog, of_catalog in sorted(proved.items()):
            path = next(pathlib.Path(catalogs).glob(f"{catalog}.json*"))
            opener = gzip.open if path.suffix == ".gz" else open
            with opener(path, "rt", encoding="utf-8") as file:
                text = file.read()
            tables = json.loads(text) if text.lstrip().startswith("[") else [json.loads(l) for l in text.splitlines()]
            emulator.make([t for t in tables if "tableReference" in t])
            for answer in of_catalog:
                count += 1
                problem = emulator.dry_run(count, answer["sql"])
                if problem:
                    refused += 1
                    print(f"{answer['id']} ({answer['proved_by']}): {problem}\n    {answer['sql']}")
    finally:
        emulator.process.terminate()
    print(f"{count - refused} of {count} proved answers are accepted by the emulator, {refused} are not")


if __name__ == "__main__":
    main()
