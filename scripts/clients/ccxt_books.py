#!/usr/bin/env python3
"""A public client library (ccxt pro) against the simulators: unchanged but for the address.

    qingxi demo --json > where.json
    python3 ccxt_books.py where.json [venue ...]

For each venue it loads the markets, subscribes to a book and to trades, keeps the book, and compares it with the one that
the platform on the same simulators serves by REST: at equal sequence numbers the best five levels must be equal. Where
the library or the venue gives no number, each book of the library must be among those that the platform served. Exit
code 0 where all is right.
"""
import asyncio
import json
import os
import sys
from decimal import Decimal
from urllib.parse import quote
from urllib.request import urlopen

import ccxt.pro

# ccxt's name of the venue, endpoint → what in ccxt's addresses is replaced by it, and the market that is followed.
VENUES = {
    "binance": [("binance", "spot", "BTC/USDT", {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}}),
                ("binanceusdm", "usdm", "BTC/USDT:USDT", {"fetchMarkets": {"types": ["linear"]}})],
    "okx": [("okx", "main", "BTC/USDT", {}), ("okx", "main", "BTC/USDT:USDT", {})],
    "bybit": [("bybit", "spot", "BTC/USDT", {}), ("bybit", "linear", "BTC/USDT:USDT", {})],
    "deribit": [("deribit", "main", "BTC/USD:BTC", {})],
    "kraken": [("kraken", "spot", "BTC/USD", {}), ("krakenfutures", "futures", "BTC/USD:USD", {})],
    "bitget": [("bitget", "main", "BTC/USDT", {}), ("bitget", "main", "BTC/USDT:USDT", {})],
    "gate": [("gate", "spot", "BTC/USDT", {})],
    "htx": [("htx", "spot", "BTC/USDT", {"fetchMarkets": {"types": {"spot": True, "linear": False, "inverse": False}}})],
    "coinbase": [("coinbase", "advanced", "BTC/USD", {})],
}
# The depth that the platform follows by default, where each depth of a venue is a book of its own.
DEPTH = {"bybit": 200}
SECONDS = float(os.environ.get("SECONDS_EACH", "5"))


def redirect(value, addr):
    """Every address of the library to one of ours, path kept."""
    if isinstance(value, dict):
        return {key: redirect(inner, addr) for key, inner in value.items()}
    if isinstance(value, str) and "://" in value:
        scheme, rest = value.split("://", 1)
        path = rest.split("/", 1)[1] if "/" in rest else ""
        plain = {"https": "http", "wss": "ws"}.get(scheme, scheme)
        return f"{plain}://{addr}/{path}" if path else f"{plain}://{addr}"
    return value


def levels(side):
    """The best five levels as exact numbers."""
    return tuple((Decimal(str(level[0])).normalize(), Decimal(str(level[1])).normalize()) for level in side[:5])


async def served(platform, venue, symbol, kept):
    """Asks the platform for its book, over and over."""
    url = f"{platform}/api/v1/orderbook/{venue}/{quote(symbol, safe='')}?depth=5"
    loop = asyncio.get_running_loop()
    while True:
        body = await loop.run_in_executor(None, lambda: json.load(urlopen(url)))
        pair = (levels(body["bids"]), levels(body["asks"]))
        kept[body.get("seq")] = pair
        kept["pairs"].add(pair)
        await asyncio.sleep(0.001)


async def follow(name, addr, symbol, options, venue, platform):
    """Follows a book and trades for a while; says what was seen."""
    exchange = getattr(ccxt.pro, name)({"options": options, "enableRateLimit": False})
    exchange.urls = dict(exchange.urls)
    exchange.urls["api"] = redirect(exchange.urls["api"], addr)
    # Currencies need keys of an account; nothing public hangs on them.
    exchange.has["fetchCurrencies"] = False
    seen = {"books": 0, "trades": 0, "crossed": 0, "equal": 0, "compared": 0}
    theirs, ours = {}, {"pairs": set()}
    try:
        await asyncio.wait_for(exchange.load_markets(), 20)

        async def books():
            while True:
                book = await exchange.watch_order_book(symbol, DEPTH.get(name))
                seen["books"] += 1
                if book["bids"] and book["asks"]:
                    seen["crossed"] += Decimal(book["bids"][0][0]) >= Decimal(book["asks"][0][0])
                    theirs[book["nonce"] or f"book {seen['books']}"] = (levels(book["bids"]), levels(book["asks"]))

        async def trades():
            while True:
                seen["trades"] += len(await exchange.watch_trades(symbol))

        tasks = [asyncio.ensure_future(run) for run in (books(), trades(), served(platform, venue, symbol, ours))]
        done, waiting = await asyncio.wait(tasks, timeout=SECONDS, return_when=asyncio.FIRST_EXCEPTION)
        for task in waiting:
            task.cancel()
        for task in done:
            task.result()
        numbered = [nonce for nonce in theirs if nonce in ours]
        if numbered:
            seen["compared"] = len(numbered)
            seen["equal"] = sum(theirs[nonce] == ours[nonce] for nonce in numbered)
        else:
            # What the platform was asked for is a sample of its books; a library's book that is none of them may lie
            # between two, so most must be found.
            seen["compared"] = len(theirs)
            seen["equal"] = sum(pair in ours["pairs"] for pair in theirs.values())
            seen["sampled"] = True
    finally:
        await exchange.close()
    return seen


async def main():
    where = json.load(open(sys.argv[1]))
    addresses, platform = where["simulators"], where["http"]
    wanted = sys.argv[2:] or [name for name in VENUES if name in addresses]
    wrong = 0
    for venue in wanted:
        for name, endpoint, symbol, options in VENUES[venue]:
            addr = addresses[venue].get(endpoint)
            if addr is None:
                print(f"{name:16} {symbol:16} no endpoint `{endpoint}`; there are: {', '.join(addresses[venue])}")
                wrong += 1
                continue
            try:
                seen = await follow(name, addr, symbol, options, venue, platform)
                share = 0.9 if seen.get("sampled") else 1
                right = seen["books"] > 3 and seen["trades"] > 0 and seen["crossed"] == 0
                right = right and seen["compared"] > 3 and seen["equal"] >= share * seen["compared"]
                words = (f"{seen['books']} books, {seen['trades']} trades, {seen['crossed']} crossed, "
                         f"{seen['equal']} of {seen['compared']} equal to the platform's"
                         f"{' (no numbers, sampled)' if seen.get('sampled') else ''}")
            except Exception as error:  # what the library raises is what a user would see
                right, words = False, f"{type(error).__name__}: {str(error)[:300]}"
            print(f"{name:16} {symbol:16} {'right' if right else 'WRONG'}: {words}")
            wrong += not right
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    asyncio.run(main())
