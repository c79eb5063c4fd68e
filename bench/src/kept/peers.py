"""What DuckDB and polars take for the questions that the store answers, over the same files: prints a JSON object a line.

Usage: peers.py FOLDER SYMBOL START_NS ROUNDS BOOK_NS...
"""

import json
import statistics
import sys
import time

import duckdb
import polars as pl

folder, symbol, start, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
instants = [int(text) for text in sys.argv[5:]]
HOUR = 3_600_000_000_000


def files(table):
    return f"{folder}/parquet/{table}/*/*.parquet"


def ts(ns):
    return f"make_timestamp_ns({ns})"


con = duckdb.connect()
of = f"symbol = '{symbol}'"
trades, quotes = pl.scan_parquet(files("trades")), pl.scan_parquet(files("quotes"))
ours = pl.col("symbol") == symbol


def duck_bars():
    rows = con.execute(
        f"""SELECT time_bucket(INTERVAL 1 MINUTE, ts_event) AS start, arg_min(price, number), max(price), min(price),
        arg_max(price, number), sum(quantity), sum(price * quantity), count(*)
        FROM read_parquet('{files("trades")}') WHERE {of} GROUP BY start ORDER BY start"""
    ).fetchall()
    return len(rows), sum(row[7] for row in rows), sum(row[1] for row in rows)


def polars_bars():
    price, quantity = pl.col("price"), pl.col("quantity")
    rows = (
        trades.filter(ours)
        .group_by(pl.col("ts_event").dt.truncate("1m"))
        .agg(
            price.first().alias("open"),
            price.max().alias("high"),
            price.min().alias("low"),
            price.last().alias("close"),
            quantity.sum().alias("volume"),
            (price * quantity).sum().alias("turnover"),
            pl.len().alias("count"),
        )
        .sort("ts_event")
        .collect()
    )
    return len(rows), rows["count"].sum(), rows["open"].sum()


def duck_asof():
    return con.execute(
        f"""SELECT count(*), sum(q.bid_price), sum(t.price) FROM
        (SELECT ts_event, price, quantity FROM read_parquet('{files("trades")}') WHERE {of}) t
        ASOF LEFT JOIN (SELECT ts_event, bid_price, bid_quantity, ask_price, ask_quantity
        FROM read_parquet('{files("quotes")}') WHERE {of}) q ON t.ts_event >= q.ts_event"""
    ).fetchone()


def polars_asof():
    told = ["bid_price", "bid_quantity", "ask_price", "ask_quantity"]
    joined = (
        trades.filter(ours)
        .select("ts_event", "price", "quantity")
        .sort("ts_event", maintain_order=True)
        .join_asof(quotes.filter(ours).select("ts_event", *told).sort("ts_event", maintain_order=True), on="ts_event")
        .collect()
    )
    return len(joined), joined["bid_price"].sum(), joined["price"].sum()


def duck_scan():
    table = con.cursor().sql(
        f"SELECT * FROM read_parquet('{files('trades')}') WHERE {of} AND ts_event >= {ts(start + 6 * HOUR)}"
        f" AND ts_event < {ts(start + 12 * HOUR)}"
    ).to_arrow_table()
    return (table.num_rows,)


def polars_scan():
    at = pl.col("ts_event").dt.epoch("ns")
    rows = trades.filter(ours, at >= start + 6 * HOUR, at < start + 12 * HOUR).collect()
    return (len(rows),)


def duck_latest():
    return con.execute(
        f"SELECT number, price FROM read_parquet('{files('trades')}') WHERE {of} ORDER BY epoch DESC, number DESC LIMIT 1"
    ).fetchone()


def polars_latest():
    return trades.filter(ours).sort("epoch", "number", descending=True).head(1).select("number", "price").collect().row(0)


def duck_book(at):
    query = f"""
    WITH whole AS (SELECT number, ts_event, side, price, quantity FROM read_parquet('{files("book_snapshots")}') WHERE {of}
        UNION ALL SELECT number, ts_event, side, price, quantity FROM read_parquet('{files("book_checkpoints")}') WHERE {of}),
    base AS (SELECT max(number) AS number FROM whole WHERE ts_event <= {ts(at)}),
    rows AS (SELECT number, side, price, quantity FROM whole WHERE number = (SELECT number FROM base)
        UNION ALL SELECT number, side, price, quantity FROM read_parquet('{files("book_deltas")}')
        WHERE {of} AND ts_event <= {ts(at)} AND number > (SELECT number FROM base)),
    last AS (SELECT side, price, arg_max(quantity, number) AS quantity FROM rows GROUP BY side, price)
    SELECT count(*), sum(quantity) FROM last WHERE quantity > 0"""
    return con.execute(query).fetchone()


def polars_book(at):
    told = ["number", "side", "price", "quantity"]
    whole = pl.concat(
        [pl.scan_parquet(files(table)).filter(ours).select("ts_event", *told) for table in ("book_snapshots", "book_checkpoints")]
    ).filter(pl.col("ts_event").dt.epoch("ns") <= at)
    base = whole.select(pl.col("number").max()).collect().item()
    deltas = pl.scan_parquet(files("book_deltas")).filter(
        ours, pl.col("ts_event").dt.epoch("ns") <= at, pl.col("number") > base
    )
    rows = pl.concat([whole.filter(pl.col("number") == base).select(told), deltas.select(told)])
    last = rows.sort("number", maintain_order=True).group_by("side", "price").agg(pl.col("quantity").last())
    book = last.filter(pl.col("quantity") > 0).collect()
    return len(book), book["quantity"].sum()


def measure(name, by, ask, arguments):
    times, answer = [], None
    for argument in arguments:
        begun = time.perf_counter()
        answer = ask(*argument)
        times.append(time.perf_counter() - begun)
    told = {"what": name, "by": by, "seconds": statistics.median(times), "numbers": [float(value) for value in answer]}
    print(json.dumps(told), flush=True)


for name, arguments, duck, polars in [
    ("bars", [()] * rounds, duck_bars, polars_bars),
    ("asof", [()] * rounds, duck_asof, polars_asof),
    ("scan", [()] * rounds, duck_scan, polars_scan),
    ("latest", [()] * rounds, duck_latest, polars_latest),
    ("book", [(at,) for at in instants], duck_book, polars_book),
]:
    measure(name, f"DuckDB {duckdb.__version__}", duck, arguments)
    measure(name, f"polars {pl.__version__}", polars, arguments)
