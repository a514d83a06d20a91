"""The two persons of a bureau die at any durable step of publish and approve, and give the command again.

Every month the publisher dies once and the approver dies once, each month at another point.
"""

from __future__ import annotations

from pathlib import Path

from adapters.bureau.editions import Editions
from tests.crash.city import City
from tests.crash.programs import points

MONTHS = 10


def test_publish_and_approve_may_die_anywhere(tmp_path: Path) -> None:
    """Each list becomes one edition, published once, and both persons hold the gateway's answers."""
    with City(tmp_path, []) as city:
        city.publish()
        second = city.next_list()
        publishing = points(city.publish_job(second).count(), MONTHS)
        approving = points(city.approve_job(city.sealed()).count(), MONTHS)
        city.published(second)
        deaths = 0
        months = max(len(publishing), len(approving))
        for month in range(months):
            published = city.next_list()
            publish = city.publish_job(published)
            deaths += publish.die(publishing[month % len(publishing)])
            publish.finish()
            approve = city.approve_job(city.sealed())
            deaths += approve.die(approving[month % len(approving)])
            approve.finish()
            city.published(published)
        assert deaths > months, "most of these points were never reached"
        city.check(delivered=[])
        _check_homes(city)


def _check_homes(city: City) -> None:
    for edition in Editions(city.maker / "state").all():
        assert edition.acknowledgement is not None
        assert [len(chunk) > 0 for _, chunk in edition.chunks()] == [True] * len(edition.manifest.chunk_roots)
    decisions = {
        path.name for path in (city.approver / "state/decisions").iterdir() if path.suffix == ".dsse"
    }
    for edition in city.editions:
        kept = f"{edition.digest.hex()}.Approval"
        assert {f"{kept}.dsse", f"{kept}.acknowledgement.dsse"} <= decisions
