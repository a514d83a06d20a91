"""`make demo`: a city's first months: real processes over mTLS on this machine, real input.

Every step is a command that a person could type; it is printed before it runs.
"""

from __future__ import annotations

import shutil

from examples import month, quarter, year
from examples.city import found
from examples.story import Story

PARTIES = """\
party     knows                                                               where, in {place}/
bureau    which records it sealed, who approved them, that three banks        bureau-li-wei/state/editions/
          applied exactly these; which rows need mending, and why             …/mend.csv, …/report.json
gateway   the sealed bytes, every exchange, nothing it could have sealed      gateway/ (gateway.db; head.db apart)
          in the bureau's or a bank's place
banks     4,867 A-grade taxpayers, each provable alone; what was sealed,      bank-N/bank.db (view grade_a),
          approved and delivered to them; that the log holds their receipts   bank-N/evidence/, bank-N/spool/
auditor   that all of this is one history, from files alone and under keys    export/, policy.toml, record/
          it brought itself: no database, no network, no trust in the gateway
"""


def main() -> None:
    work = month.ROOT / ".demo"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    with Story(work) as story:
        city = found(story)
        month.tell(city)
        year.tell(city)
        quarter.tell(city)
        story.chapter("What everybody now knows, and where it lies")
        print(PARTIES.format(place=work.relative_to(month.ROOT)))


if __name__ == "__main__":
    main()
