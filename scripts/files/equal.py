"""Keeps recordings in a store, and compares what other programs read of its files with what was kept.

Arguments: the program `qingxi`, the folder of recordings, an empty folder for the store. Exit code 1 where anything differs.
"""

import json
import pathlib
import subprocess
import sys
from decimal import Decimal

import duckdb
import pandas
import polars

QINGXI, RECORDINGS, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
STORE = FOLDER / "store"
# Recordings of one stream follow one another: a replay of several files takes them as one.
FOLDERS = ["binance-spot", "binance-usdm", "binance-coinm", "okx", "bybit", "coinbase", "deribit", "htx", "kraken", "kraken-futures"]


def number(column):
    """Reads a decimal of a kind's JSON."""
    return lambda event: event.get(column)


def side(column, place):
    """Reads price or quantity of one side of a quote."""
    return lambda event: event[column][place] if event.get(column) else None


# Of each kind its table and the columns that are compared, each with what it is in JSON.
KINDS = {
    "trade": ("trades", {"price": number("px"), "quantity": number("qty")}),
    "quote": (
        "quotes",
        {
            "bid_price": side("bid", 0),
            "bid_quantity": side("bid", 1),
            "ask_price": side("ask", 0),
            "ask_quantity": side("ask", 1),
        },
    ),
    "mark_price": ("mark_prices", {"price": number("px")}),
    "bar": ("bars", {name: number(name) for name in ["open", "high", "low", "close", "volume"]}),
    "funding": ("funding_rates", {"rate": number("rate")}),
    "delta": ("book_deltas", None),
    "snapshot": ("book_snapshots", None),
}


def rows_of(kind, columns, event):
    """The rows that an event must be: of a book one for each level."""
    if columns is None:
        levels = [("bid", *level) for level in event["bids"]] + [("ask", *level) for level in event["asks"]]
        return levels or [(None, None, None)]
    return [tuple(read(event) for read in columns.values())]


def same(cell, text, exact, column):
    """Whether a cell holds the decimal of a text."""
    if cell is None or text is None:
        return cell is None and text is None
    if isinstance(cell, str):
        return cell == text
    held = json.loads(exact).get(column) if exact else None
    return Decimal(held or repr(cell)) == Decimal(text)


def compare(kind, table, columns):
    """Compares one table, as polars and as DuckDB read it; gives rows and what differs."""
    files = str(STORE / "parquet" / table / "*" / "*.parquet")
    names = list(columns) if columns else ["side", "price", "quantity"]
    events = subprocess.run([QINGXI, "export", STORE, "--kind", kind], check=True, capture_output=True).stdout
    wanted = []
    for line in events.splitlines():
        event = json.loads(line)
        head = (event["epoch"], event["number"], event["ts_event"], event["ts_recv"], event["symbol"])
        wanted += [(head, row) for row in rows_of(kind, columns, event)]
    if not wanted:
        return 0, 0
    read = ["epoch", "number", "ts_event", "ts_recv", "symbol", *names, "exact"]
    frame = polars.read_parquet(files).select(read).sort("epoch", "number", maintain_order=True)
    frame = frame.with_columns(polars.col("ts_event", "ts_recv").cast(polars.Int64))
    listed = ", ".join(read).replace("ts_event", "epoch_ns(ts_event)").replace("ts_recv", "epoch_ns(ts_recv)")
    ours = frame.rows()
    theirs = duckdb.sql(f"select {listed} from read_parquet('{files}') order by epoch, number").fetchall()
    wrong = abs(len(ours) - len(wanted)) + (sorted(map(str, ours)) != sorted(map(str, theirs)))
    for row, (head, cells) in zip(ours, wanted):
        exact = row[-1]
        right = row[:5] == head and all(
            same(cell, text, exact, name) for cell, text, name in zip(row[5:-1], cells, names)
        )
        wrong += not right
    for path in sorted((STORE / "parquet" / table).glob("*/*.parquet"))[:1]:
        seen = pandas.read_parquet(path)
        kinds = {str(seen[name].dtype) for name in names if name != "side"} | {str(seen["ts_recv"].dtype)}
        wrong += kinds != {"float64", "datetime64[ns]"}
    return len(wanted), wrong


def main():
    """Keeps, compares, prints."""
    STORE.mkdir(parents=True)
    for folder in FOLDERS:
        for path in sorted((RECORDINGS / folder).iterdir()):
            subprocess.run([QINGXI, "replay", "--store", STORE, path], check=False, capture_output=True)
    subprocess.run([QINGXI, "compact", STORE], check=True, capture_output=True)
    subprocess.run([QINGXI, "verify", STORE], check=True, capture_output=True)
    failed = 0
    for kind, (table, columns) in KINDS.items():
        rows, wrong = compare(kind, table, columns)
        failed += wrong
        print(f"{table:<16} {rows:>10} rows  {wrong} differ")
    sys.exit(failed > 0)


main()
