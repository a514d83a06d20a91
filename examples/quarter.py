"""The quarter: three banks report what they lent, an auditor draws a sample of one, and the figures are published.

Loans and borrowers are made up, of a division that does not exist. Some borrowers stand on the list of February. Its
banks knew the list before they were connected, so for them an edition counts from its period on.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from itertools import islice
from pathlib import Path

from examples import generate, lending
from examples.city import CITY, City, Party
from examples.month import ROOT
from examples.story import expect
from examples.year import ADDED
from xinyi import days
from xinyi.lending import first_day, last_day, period_name
from xinyi.v1 import lending_pb2

TERMS = ROOT / "gateway" / "office" / "reporting-terms.toml"
SETTINGS = f"""
[bank]
origins = ["{CITY}/tax-bureau"]
[bank.lending]
editions_count_from = "period"
"""
#: Rows that the auditor draws.
DRAWN = 40


def tell(city: City) -> None:
    story = city.story
    period = last_quarter(days.today())
    name = period_name(period)
    story.chapter(f"What the banks owe under their agreements, and their books of {name}")
    terms = story.work / "terms.toml"
    terms.write_text(TERMS.read_text().replace("= false", "= true"))  # single loans, too, and the bureau may see them
    for bank, agreement in zip(city.banks, city.agreements, strict=True):
        story.run("xinyi-gateway", "agreement", "terms", agreement, terms, "--home", city.gateway, quiet=True)
        # The auditor's key is pinned here, too, so the bank says whose editions it takes.
        bank.trust(city.auditor.key)
        settings = bank.home / "party.toml"
        settings.write_text(settings.read_text() + SETTINGS)
    books = [write_books(story.work / f"loans-{n}.csv", n, period) for n in (1, 2, 3)]

    story.chapter("Three banks report totals; the third had its amounts in 万元, and is asked")
    city.banks[0].run("report", books[0], "--period", name, "--profile", "loans", "--dry-run")
    for bank, book in zip(city.banks[:2], books[:2], strict=True):
        bank.run("report", book, "--period", name, "--profile", "loans", "--yes", quiet=True)
    tell_units(city.banks[2], books[2], period)
    for bank in city.banks:
        bank.run("reports")

    tell_consented(city)
    tell_sample(city, name)
    tell_figures(city, name, period)


def tell_units(bank: Party, book: Path, period: lending_pb2.LendingPeriod) -> None:
    """Amounts that are ten thousand times too small are asked about; the right ones replace them."""
    name = period_name(period)
    mixed = book.with_name("loans-3-wan.csv")
    rows = lending.loans(3, period, borrowers())
    lending.write(mixed, [row.in_wan() for row in rows])
    bank.run("report", mixed, "--period", name, "--profile", "loans", "--yes", quiet=True)
    [held] = json.loads(bank.run("reports", "--json", quiet=True))["tables"]
    expect("state of amounts in another unit", held["state"], "held")
    bank.run("reports")
    why = ("--corrects", held["document"], "--reason", "amounts were exported in 万元")
    bank.run("report", book, "--period", name, "--profile", "loans", *why, "--yes")


def tell_consented(city: City) -> None:
    """Loans of today, each with its borrower's authorisation; one borrower gave none."""
    story, bank = city.story, city.banks[0]
    story.chapter("Nine borrowers authorised bank 1 to name their loans; a tenth did not, and stays at the bank")
    today = days.today()
    consented = story.work / "consented.csv"
    lending.write_events(consented, lending.events(borrowers()[20:30], today), without=4)
    bank.run("report-loans", consented, "--profile", "loan-events", "--yes")
    found = [json.loads(line) for line in bank.run("outcomes", "--json", quiet=True).splitlines()]
    expect("loans that were named", [one["state"] for one in found], ["counted"] * 9)
    bank.run("outcomes")
    city.maker.run("loans", "--bank", f"{CITY}/bank-1")


def tell_sample(city: City, name: str) -> None:
    story, work = city.story, city.story.work
    story.chapter(f"The auditor draws {DRAWN} rows of bank 2's table by a seed that nobody knew when it was sealed")
    policy = ("--policy", work / "policy.toml")
    what = ("--bank", "bank-2", "--period", name, "--n", str(DRAWN), "--purpose", "quarterly audit")
    city.auditor.run("challenge", *what, "-o", work / "challenge")
    bank = city.banks[1]
    [asked] = json.loads(bank.run("challenges", "--json", quiet=True))
    bank.run("challenges")
    bank.run("open", asked["challenge"][:12], "-o", work / "opening.dsse", "--yes")
    city.auditor.run("challenges", "--keep", work / "challenge")
    story.run("xinyi-audit", "verify-opening", work / "challenge", work / "opening.dsse", *policy)


def tell_figures(city: City, name: str, period: lending_pb2.LendingPeriod) -> None:
    story, work = city.story, city.story.work
    story.chapter("The quarter's statistics, for the bureau and for the banks; the log verified offline")
    story.run("xinyi-gateway", "statistics", "run", "--period", name, "--home", city.gateway)
    page = work / "statistics.html"
    city.maker.run("statistics", "--period", name)
    city.maker.run("statistics", "--period", name, "--format", "html", "-o", page, quiet=True)
    city.maker.run("statistics", "--period", name, "--format", "xlsx", "-o", work / "statistics.xlsx", quiet=True)
    city.banks[0].run("statistics", "--period", name, "--language", "en")
    rows = [row for n in (1, 2, 3) for row in lending.loans(n, period, borrowers()) if row.counts(period)]
    figures = json.loads(city.maker.run("statistics", "--period", name, "--format", "json", quiet=True, shown=False))
    total = figures["margins"]["total"]["all"]
    expect("loans of the quarter", total["loans"], len(rows))
    expect("what was granted, in fen", total["granted"], sum(row.granted for row in rows))
    city.auditor.run("export", work / "export-4", "--records", "--purpose", "quarterly audit")
    story.run("xinyi-audit", "verify", work / "export-4", "--policy", work / "policy.toml")
    print(f"✓ {total['loans']} loans, to the fen what three banks' books hold, and no row left a bank: {page}")


def write_books(path: Path, bank: int, period: lending_pb2.LendingPeriod) -> Path:
    lending.write(path, lending.loans(bank, period, borrowers()))
    return path


def borrowers() -> list[generate.Row]:
    """Those on the list of February, and others."""
    return [*islice(generate.rows(ADDED, seed=2019), ADDED), *lending.firms()[:300]]


def last_quarter(day: date) -> lending_pb2.LendingPeriod:
    """The newest one that is over."""
    ended = date(day.year, (day.month - 1) // 3 * 3 + 1, 1) - timedelta(days=1)
    period = lending_pb2.LendingPeriod(year=ended.year, month=ended.month - 2, months=3)
    expect("the quarter's end", last_day(period), ended)
    expect("the quarter's beginning", first_day(period) < ended, True)
    return period
