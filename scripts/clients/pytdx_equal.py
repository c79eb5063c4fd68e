#!/usr/bin/env python3
"""A public client library (pytdx) against the simulator of 7709: unchanged but for the address.

    qingxi demo --json > where.json
    python3 pytdx_equal.py where.json path/to/qingxi

It asks for quotes, bars, minutes and trades, and compares them with what the platform on the same simulator tells: the five
levels of a quote must be among those that the platform served while it was asked, bars and trades of past days must be those
that `qingxi backfill` reads, to the last digit. Exit code 0 where all is right.
"""
import json
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


def shares(api):
    """Listed shares: market and code."""
    found = []
    for market in VENUES:
        begin = 0
        while page := api.get_security_list(market, begin):
            begin += len(page)
            found += [(market, line["code"]) for line in page if line["code"][:2] in ("60", "00", "30")]
    return [(market, code) for market, code in found if (market, code[:3]) != (1, "000")]


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


def bars(api, qingxi, addr, folder, stock):
    """Bars of days and of five minutes."""
    market, code = stock
    equal = compared = 0
    for category, interval, form, unit in ((9, "1d", "%Y-%m-%d", 100), (0, "5m", "%Y-%m-%d %H:%M", 1)):
        theirs = api.get_security_bars(category, market, code, 0, 100)[:-1]
        since, until = (datetime.strptime(bar["datetime"][:10], "%Y-%m-%d") for bar in (theirs[0], theirs[-1]))
        span = [(day - timedelta(days=shift)).strftime("%Y-%m-%d") for day, shift in ((since, 1), (until, -2))]
        ours = {}
        for event in backfill(qingxi, addr, folder, f"{code}.{VENUES[market][1]}", "bars", *span, interval):
            shift = 0 if interval == "1d" else 300 * 10**9
            ours[moment(event["start"] + shift, form)] = event
        for bar in theirs:
            label = bar["datetime"][:10] if interval == "1d" else bar["datetime"].replace(" 13:00", " 11:30")
            ours_bar = ours[label]
            prices = [number(bar[key], 3) == Decimal(ours_bar[key]).normalize() for key in ("open", "high", "low", "close")]
            # The library reads binary32 wrongly below 128.
            volume = bar["vol"] < 128 or Decimal(int(bar["vol"])) * unit == Decimal(ours_bar["volume"])
            compared += 1
            equal += all(prices) and volume
    return equal, compared


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
        stocks = shares(api)[:6]
        traded = [(quote["market"], quote["code"]) for quote in api.get_security_quotes(stocks) if quote["vol"]]
        results = [("quotes", *quotes(api, where["http"], traded))]
        for stock in traded[:3]:
            results.append((f"bars {stock[1]}", *bars(api, qingxi, addr, folder, stock)))
            results.append((f"trades {stock[1]}", *trades(api, qingxi, addr, folder, stock)))
    for what, equal, compared in results:
        # A quote of the library may lie between two that the platform was asked for.
        right = compared > 0 and equal >= compared * (0.9 if what == "quotes" else 1)
        print(f"{'pytdx':16} {what:16} {'right' if right else 'WRONG'}: {equal} of {compared} equal to the platform's")
        wrong += not right
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
