"""Asks bigquill the questions of a text-to-SQL set and counts answers of exactly the gold's form.

    python3 tests/eval/exact_form.py QUESTIONS.jsonl[.gz] CATALOGS.jsonl.gz [BIGQUILL]

A line of QUESTIONS has `id`, `question`, `catalog`, the gold `bigquery_sql`, and perhaps `evidence`; CATALOGS is what
`bigquill catalog import` reads. Exact form: equal but for case, whitespace and quotes. Needs nothing but Python.
"""

import gzip
import json
import re
import subprocess
import sys
import tempfile
import time


def lines(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def form(sql):
    return re.sub(r"[\s'\"`;]+", "", sql.lower())


def main():
    questions, catalogs = sys.argv[1], sys.argv[2]
    bigquill = sys.argv[3] if len(sys.argv) > 3 else "bigquill"
    asked = lines(questions)
    wanted = ("id", "question", "evidence", "catalog")
    batch = "".join(json.dumps({k: q[k] for k in wanted if q.get(k)}) + "\n" for q in asked)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([bigquill, "catalog", "import", catalogs, "--out", folder], check=True)
        command = [bigquill, "ask", "--jsonl", "-", "--catalogs", folder, "--details"]
        begin = time.monotonic()
        # Exit code 1 says that something is not proved.
        out = subprocess.run(command, input=batch, stdout=subprocess.PIPE, text=True).stdout
        seconds = time.monotonic() - begin
    answers = {answer["id"]: answer for answer in map(json.loads, out.splitlines())}
    exact = proved = repaired = failed = 0
    for question in asked:
        answer = answers.get(question["id"], {})
        failed += "sql" not in answer
        exact += form(answer.get("sql", "")) == form(question["bigquery_sql"])
        proved += answer.get("proved", False)
        repaired += bool(answer.get("repairs"))
    share = lambda count: f"{count} ({100 * count / len(asked):.1f} %)"
    print(
        f"{len(asked)} questions in {seconds / 60:.1f} minutes: exact form {share(exact)}, "
        f"proved {share(proved)}, repaired {share(repaired)}, without an answer {failed}"
    )


if __name__ == "__main__":
    main()
