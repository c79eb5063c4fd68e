#!/usr/bin/env python3
"""A public client library (pytdx) against the simulator of 7709: unchanged but for the address.

    qingxi demo --json > where.json
    python3 pytdx_equal.py where.json path/to/qingxi

It asks for quotes, bars and trades, and compares them with what the platform on the same simulator tells: the five levels of a
quote must be among those that the platform served while it was asked, bars and trades of past days must be those that `qingxi
backfill` reads, to the last digit. Prints a table of what was compared; exit code 0 where all of it is equal.
"""
import json
import struct
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from urllib.request import urlopen

from pytdx.hq import TdxHq_API

CHINA = timezone(timedelta(hours=8))
SECONDS = 8
VENUES = {0: ("szse", "SZ"), 1: ("sse", "SH")}


def number(value, digits):
    """A price of the library, which makes floats of whole numbers."""
    return Decimal(str(round(value, digits))).normalize()


def same(theirs, ours):
    """Whether a binary32 of the wire is the same for both. The library reads those below 128 wrongly."""
    return theirs < 128 or struct.pack("<f", theirs) == struct.pack("<f", float(ours))


def shares(api):
    """Listed shares, of each market the first three: market and code."""
    found = []
    for market in VENUES:
        begin = 0
        while page := api.get_security_list(market, begin):
            begin += len(page)
            found += [(market, line["code"]) for line in page if line["code"][:2] in ("60", "68", "00", "30")]
    plain = [(market, code) for market, code in found if (market, code[:3]) != (1, "000")]
    return [stock for market in VENUES for stock in [one for one in plain if one[0] == market][:3]]


def levels_of_quote(quote):
    side = lambda name: tuple(  # noqa: E731
        (number(quote[f"{name}{n}"], 2), Decimal(quote[f"{name}_vol{n}"]) * 100) for n in range(1, 6) if quote[f"{name}_vol{n}"])
    return side("bid"), side("ask")


def levels_served(url):
    with urlopen(url) as answer:
        body = json.load(answer)
    side = lambda levels: tuple((Decimal(px).normalize(), Decimal(qty)) for px, qty, *_ in levels[:5])  # noqa: E731
    return side(body["bids"]), side(body["asks"])


def quotes(api, platform, stocks):
    """Quotes that the library reads, among those that the platform serves."""
    theirs, ours = {stock: [] for stock in stocks}, {stock: set() for stock in stocks}
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for quote in api.get_security_quotes(stocks):
            theirs[(quote["market"], quote["code"])].append(levels_of_quote(quote))
        for market, code in stocks:
            ours[(market, code)].add(levels_served(f"{platform}/api/v1/orderbook/{VENUES[market][0]}/{code}?depth=5"))
        time.sleep(0.2)
    # The first and the last may lie outside of the time in which the platform was asked; lots rounded to nothing are left out.
    inner = [(stock, pair) for stock, pairs in theirs.items() for pair in pairs[len(pairs) // 3:len(pairs) * 2 // 3]]
    equal = sum(pair in ours[stock] for stock, pair in inner)
    return equal, len(inner)


def backfill(qingxi, addr, folder, name, channel, since, until, interval="1d"):
    """Events that the platform reads of the past."""
    out = Path(folder) / f"{name}-{channel}-{interval}"
    command = [qingxi, "backfill", "--source", "tdx", "--instrument", name, "--channel", channel, "--from", since,
               "--to", until, "--interval", interval, "--host", f"hq=http://{addr}", "--out", str(out), "--json"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return [json.loads(line) for line in Path(told["file"]).read_text().splitlines()]


def moment(ns, form):
    return datetime.fromtimestamp(ns / 1e9, CHINA).strftime(form)


def bars(api, qingxi, addr, folder, stock, category, interval):
    """Bars of days (category 4) or of five minutes (0), both in shares."""
    market, code = stock
    form, later = ("%Y-%m-%d", 0) if interval == "1d" else ("%Y-%m-%d %H:%M", 300 * 10**9)
    theirs = api.get_security_bars(category, market, code, 0, 100)[:-1]
    since, until = (datetime.strptime(bar["datetime"][:10], "%Y-%m-%d") for bar in (theirs[0], theirs[-1]))
    span = [(day - timedelta(days=shift)).strftime("%Y-%m-%d") for day, shift in ((since, 1), (until, -2))]
    # The platform tells when a bar begins, the wire of minutes when it ends; that of 11:30 is labelled 13:00 in the afternoon.
    events = backfill(qingxi, addr, folder, f"{code}.{VENUES[market][1]}", "bars", *span, interval)
    ours = {moment(event["start"] + later, form): event for event in events}
    equal = 0
    for bar in theirs:
        label = bar["datetime"][:10] if interval == "1d" else bar["datetime"].replace(" 13:00", " 11:30")
        prices = (number(bar[key], 3) == Decimal(ours[label][key]).normalize() for key in ("open", "high", "low", "close"))
        equal += all(prices) and same(bar["vol"], ours[label]["volume"]) and same(bar["amount"], ours[label]["turnover"])
    return equal, len(theirs)


def trades(api, qingxi, addr, folder, stock):
    """Trades of the last past day."""
    market, code = stock
    days = [bar["datetime"][:10] for bar in api.get_security_bars(9, market, code, 0, 100)]
    day = days[-2]
    after = (datetime.strptime(day, "%Y-%m-%d") + timedelta(days=1)).strftime("%Y-%m-%d")
    theirs, begin = [], 0
    while page := api.get_history_transaction_data(market, code, begin, 1800, int(day.replace("-", ""))):
        theirs = page + theirs
        begin += len(page)
    side = {0: "buy", 1: "sell"}
    theirs = [(row["time"], number(row["price"], 2), row["vol"] * 100, side.get(row["buyorsell"])) for row in theirs if row["vol"]]
    ours = [(moment(event["ts_event"], "%H:%M"), Decimal(event["px"]).normalize(), int(event["qty"]), event.get("aggressor"))
            for event in backfill(qingxi, addr, folder, f"{code}.{VENUES[market][1]}", "trades", day, after)]
    return (len(theirs) if theirs == ours else sum(a == b for a, b in zip(theirs, ours))), max(len(theirs), len(ours))


def main():
    where, qingxi = json.load(open(sys.argv[1])), sys.argv[2]
    addr = where["simulators"]["tdx"]["hq"]
    host, port = addr.rsplit(":", 1)
    api = TdxHq_API(raise_exception=True)
    wrong = 0
    with api.connect(host, int(port)), tempfile.TemporaryDirectory() as folder:
        stocks = shares(api)
        traded = [(quote["market"], quote["code"]) for quote in api.get_security_quotes(stocks) if quote["vol"]]
        results = [("quotes", f"{len(traded)} stocks", *quotes(api, where["http"], traded))]
        for stock in traded:
            results.append(("bars 1d", stock[1], *bars(api, qingxi, addr, folder, stock, 4, "1d")))
            results.append(("bars 5m", stock[1], *bars(api, qingxi, addr, folder, stock, 0, "5m")))
            results.append(("trades", stock[1], *trades(api, qingxi, addr, folder, stock)))
    print(f"{'pytdx':10}{'of':12}{'compared':>10}{'equal':>8}")
    for what, of, equal, compared in results:
        # A quote of the library may lie between two that the platform was asked for.
        right = compared > 0 and equal >= compared * (0.9 if what == "quotes" else 1)
        print(f"{what:10}{of:12}{compared:10}{equal:8}  {'right' if right else 'WRONG'}")
        wrong += not right
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
