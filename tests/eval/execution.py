"""Scores answers by the rows that they give on the BigQuery emulator.

    python3 tests/eval/execution.py EMULATOR DATA SET [ANSWERS.jsonl ...]

EMULATOR is goccy/bigquery-emulator 0.8.1. DATA is a folder with `dev/SET.jsonl.gz`, `catalogs/SET.jsonl.gz` and the SQLite files
that its catalogs name under `rows`; SET is such a name, `gender_gap` or `idioms` (each in a folder of its own). ANSWERS are outputs of
`bigquill ask --jsonl`; without one the gold itself is run. An answer is right where it gives the rows of the gold or of one of its
accepted alternatives: values in the order of the columns, rows in order only where the gold orders them, whatever the columns are
called. Needs nothing but Python.
"""

import collections
import csv
import gzip
import json
import pathlib
import sqlite3
import sys
import tempfile
import urllib.error

from emulator import Emulator, lines

# A nested FLOAT would be 32 bits wide on the emulator.
API_TYPE = {"INT64": "INTEGER", "BOOL": "BOOLEAN"}
ROWS_AT_ONCE = 500


class Questions:
    """The questions of a set, its catalogs, and how each table's rows come into the emulator."""

    def __init__(self, data, name):
        data = pathlib.Path(data)
        own = data / name
        if name == "idioms":
            self.asked, catalogs = lines(str(own / "questions.jsonl")), lines(str(own / "catalogs.jsonl.gz"))
            given = json.loads((own / "rows.json").read_text())
            self.fill = lambda emulator, _, table: insert_literals(emulator, table, given[f"{table['dataset']}.{table['table']}"])
        elif name == "gender_gap":
            self.asked, catalogs = lines(str(own / "questions.jsonl")), lines(str(data / "catalogs/gender_gap.jsonl.gz"))
            self.fill = lambda emulator, _, table: insert_records(emulator, table, comma_separated(own / "data.csv"))
        else:
            self.asked, catalogs = lines(str(data / f"dev/{name}.jsonl.gz")), lines(str(data / f"catalogs/{name}.jsonl.gz"))
            self.fill = lambda emulator, catalog, table: insert_records(emulator, table, sqlite(data / catalog["rows"], table))
        self.catalogs = {c["name"]: c for c in catalogs}


def comma_separated(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def sqlite(path, table):
    with tempfile.NamedTemporaryFile() as unpacked:
        unpacked.write(gzip.open(path).read())
        unpacked.flush()
        rows = sqlite3.connect(unpacked.name)
        rows.text_factory = lambda raw: raw.decode("utf-8", "replace")
        names = [f["name"] for f in table["fields"]]
        columns = ", ".join(f'"{name}"' for name in names)
        return [dict(zip(names, values)) for values in rows.execute(f'SELECT {columns} FROM "{table["table"]}"')]


def json_value(given, kind):
    """A value of SQLite or of a file as the API takes it."""
    if given is None or (given == "" and kind != "STRING"):
        return None
    if kind == "BOOL":
        return str(given).lower() in ("1", "1.0", "true", "t")
    return str(int(float(given))) if kind == "INT64" else str(given)


def insert_records(emulator, table, records):
    place = f"/datasets/{table['dataset']}/tables/{table['table']}/insertAll"
    rows = [{"json": {f["name"]: json_value(r[f["name"]], f["type"]) for f in table["fields"]}} for r in records]
    for start in range(0, len(rows), ROWS_AT_ONCE):
        emulator.call("POST", place, {"rows": rows[start : start + ROWS_AT_ONCE]})


def insert_literals(emulator, table, rows):
    columns = ", ".join(f["name"] for f in table["fields"])
    for start in range(0, len(rows), ROWS_AT_ONCE):
        values = ", ".join(rows[start : start + ROWS_AT_ONCE])
        result(emulator, f"INSERT INTO {table['dataset']}.{table['table']} ({columns}) VALUES {values}")


def api_field(field):
    kind = API_TYPE.get(field["type"], field["type"])
    nested = {"fields": [api_field(f) for f in field["fields"]]} if "fields" in field else {}
    return {**field, "type": kind, **nested}


def load(emulator, catalog, fill):
    emulator.make(
        {"tableReference": {"datasetId": t["dataset"], "tableId": t["table"]}, "schema": {"fields": [api_field(f) for f in t["fields"]]}}
        for t in catalog["tables"]
    )
    for table in catalog["tables"]:
        fill(emulator, catalog, table)


def result(emulator, sql):
    """The rows of a query, each as a text that equal rows share; raises RuntimeError with the message of one that fails."""
    try:
        answer = emulator.call("POST", "/queries", {"query": sql, "useLegacySql": False})
    except urllib.error.HTTPError as error:
        raise RuntimeError(json.loads(error.read())["error"]["message"]) from None
    except TimeoutError:
        raise RuntimeError("the emulator computes for more than a minute") from None
    if answer.get("errors"):
        raise RuntimeError(answer["errors"][0]["message"])
    return [json.dumps([value(cell["v"]) for cell in line["f"]]) for line in answer.get("rows", [])]


def value(cell):
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, (str, int, float)):
        try:
            return round(float(cell), 6)
        except ValueError:
            return cell
    return cell


def remembered(known, emulator, sql):
    """`result`, computed once for equal queries: most answers are the gold's words."""
    if sql not in known:
        try:
            known[sql] = result(emulator, sql)
        except RuntimeError as error:
            known[sql] = error
    if isinstance(known[sql], RuntimeError):
        raise known[sql]
    return known[sql]


def accepted(rows_of, question):
    """The rows that are right: those of the gold and of the alternatives that run, and those that the set tells."""
    golds = []
    if "expected" in question:
        golds.append([json.dumps([value(cell) for cell in line]) for line in question["expected"]])
    for number, sql in enumerate([question["bigquery_sql"], *question.get("alternatives", [])]):
        try:
            golds.append(rows_of(sql))
        except RuntimeError as error:
            if number == 0 and not golds:
                print(f"{question['id']}: its gold does not run: {str(error)[:160]}")
    return golds


def main():
    program, data, name = sys.argv[1:4]
    questions = Questions(data, name)
    answers = {path: {a["id"]: a.get("sql") or "" for a in lines(path)} for path in sys.argv[4:]}
    answers = answers or {"gold": {q["id"]: q["bigquery_sql"] for q in questions.asked}}
    outcomes = {path: collections.Counter() for path in answers}
    emulator, loaded, known = Emulator(program), set(), {}
    try:
        for question in questions.asked:
            if question["catalog"] not in loaded:
                load(emulator, questions.catalogs[question["catalog"]], questions.fill)
                loaded.add(question["catalog"])
                known.clear()
            rows_of = lambda sql: remembered(known, emulator, sql)
            golds = accepted(rows_of, question)
            form = (lambda rows: rows) if question.get("ordered") else collections.Counter
            for path, of_id in answers.items():
                try:
                    got = rows_of(of_id.get(question["id"], "").replace("`local`.", ""))
                    outcome = "right" if any(form(got) == form(gold) for gold in golds) else "other rows"
                except RuntimeError:
                    outcome = "does not run"
                outcomes[path][outcome] += 1
                if outcome == "right":
                    # Rows that are none tell little.
                    outcomes[path]["right with no rows"] += not got
                else:
                    print(f"{path} {question['id']}: {outcome}")
    finally:
        emulator.process.terminate()
    for path, outcome in outcomes.items():
        share = 100 * outcome["right"] / len(questions.asked)
        print(f"{path}: {outcome['right']} of {len(questions.asked)} right ({share:.1f} %); {dict(outcome)}")


if __name__ == "__main__":
    main()
