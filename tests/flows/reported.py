"""A quarter of what three banks report, whole: for whoever looks at its log."""

from __future__ import annotations

from adapters.party.home import Home
from tests.flows.test_challenges import answer, ask, challenge, due, newest
from tests.flows.test_statistics import fetch, make
from tests.lending import WAN, answer_questions, corrected, firms_of, send_table, table_of
from tests.outcomes import outcome, send_outcomes
from tests.world import CITY, MAKER, World

TELLER = f"xinyi://{CITY}/bank-2/person/zhou-yan"


async def a_quarter(world: World, home: Home) -> None:
    """Tables that count, wait, are confirmed and corrected; loans with consent and without; two challenges, of which
    one is not answered, and due in three days; statistics in two versions for the bureau and one for banks, which the
    bureau and a bank take.

    Args: home — of the auditor.
    """
    banks = [world.homes.get(f"xinyi://{CITY}/{n}/machine/main") or await world.bank(n) for n in ("bank-1", "bank-2")]
    for bank in banks:
        await world.report_terms(bank)
    teller = await world.admit(TELLER, "BANK")
    first = await send_table(world, banks[0], table_of(banks[0], firms_of(n * 10 * WAN for n in range(1, 21))))
    small = await send_table(world, banks[1], table_of(banks[1], firms_of([5 * WAN // 1000] * 5, size="micro")))
    assert (first.state, small.state) == ("COUNTED", "HELD")
    await make(world)
    note = await newest(world, home)
    asked = [
        (await ask(home, challenge(world, sent.digest, note, bank=bank.party, due_on=due(world, 3))))[0]
        for sent, bank in zip((first, small), banks, strict=True)
    ]
    await answer(world, banks[0], asked[0])
    await answer_questions(world, teller, small.digest)
    third = await world.bank("bank-3")
    await world.report_terms(third)
    await send_table(world, third, table_of(third, firms_of(n * 10 * WAN for n in range(1, 6))))
    await send_table(world, banks[0], corrected(banks[0], first.digest, firms_of(n * 10 * WAN for n in range(1, 23))))
    sent = await send_outcomes(
        world, banks[0], [outcome(1, amount=20 * WAN), outcome(2, amount=9 * WAN), outcome(3, consent=False)]
    )
    assert sent.receipt.refused == 1
    await send_outcomes(world, banks[0], [outcome(1, amount=20 * WAN), outcome(2, amount=8 * WAN)], "2")
    await make(world)
    for version in (1, 2):
        await fetch(world.homes[MAKER], version)
    await fetch(banks[1])
