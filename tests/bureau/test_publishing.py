"""A bureau of two persons and its gateway: publish, decide, watch; nothing is published twice."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters.bureau import inspection, publishing, reviewing, standing, submission
from adapters.bureau.editions import Edition, Editions
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from examples import generate
from tests.flows.parties import open_source
from tests.world import APPROVER, MAKER, World, city, receipt_for
from xinyi.errors import Conflict, DigestMismatch, ExchangeError, NotEntitled, VerificationError
from xinyi.terminal import Exit
from xinyi.v1 import edition_pb2, exchange_pb2
from xinyi.v1 import publication_service_pb2 as pb

JIANGXI = Path(__file__).parents[2] / "examples/data/jiangxi_2018_A.csv"
APRIL = edition_pb2.Period(year=2019, month=4)
MAY = edition_pb2.Period(year=2019, month=5)


class Cut(Exception):
    """The connection, or the process, ends here."""


def quiet(what: str, done: int) -> None:
    pass


def made_up(path: Path, rows: int, *, seed: int = 1, change: Callable[[list[str]], list[str]] = list) -> Path:
    """A generated list, with its lines (heading first) changed."""
    generate.write(path, rows, seed)
    lines = path.read_text(encoding="gb18030").splitlines()
    path.write_text("\n".join(change(lines)) + "\n", encoding="gb18030")
    return path


async def publish(
    world: World,
    file: Path,
    period: edition_pb2.Period = APRIL,
    *,
    profile: str = "city-grades",
    progress: Callable[[str, int], None] = quiet,
) -> publishing.Published:
    home = world.homes[MAKER]

    def run() -> publishing.Published:
        with GatewayClient(home) as client:
            table = open_source(file, profile)
            return publishing.publish(home, client, table, "grade-a", period, progress)

    return await asyncio.to_thread(run)


async def as_person(world: World, holder: str, act: Callable[[GatewayClient, Home], Any]) -> Any:
    home = world.homes[holder]

    def run() -> Any:
        with GatewayClient(home) as client:
            return act(client, home)

    return await asyncio.to_thread(run)


async def approve(world: World, digest: bytes, holder: str = APPROVER) -> str:
    outcome: str = await as_person(world, holder, lambda c, h: reviewing.approve(c, h, digest))
    return outcome


@dataclass(frozen=True)
class Ended:
    exit_code: int
    stdout: str
    stderr: str


async def command(*arguments: object) -> Ended:
    """The real program, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "adapters.bureau.cli", *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await process.communicate()
    return Ended(process.returncode or 0, stdout.decode(), stderr.decode())


async def test_the_real_list_is_published_reviewed_approved_delivered_and_its_receipts_verified(
    tmp_path: Path,
) -> None:
    """The bureau's half of the first month, by its commands, on the bundled list."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        maker, approver = world.homes[MAKER], world.homes[APPROVER]
        result = await command(
            "publish",
            "--home",
            maker.path,
            JIANGXI,
            "--profile",
            "jiangxi-2018",
            "--period",
            "2019-04",
            "--json",
        )
        assert result.exit_code == 0, result.stderr
        report = json.loads(result.stdout)
        assert (report["outcome"], report["records"], report["comparison"]) == ("edition.ready", 4867, None)
        digest = report["manifest"]

        reviewed = await command(
            "review", "--home", approver.path, digest[:12], "--report", f"{report['folder']}/report.json",
            "--source", JIANGXI, "--profile", "jiangxi-2018",
        )  # fmt: skip
        assert reviewed.exit_code == 0, reviewed.stderr
        assert "4,867" in reviewed.stdout
        assert "the same as sealed" in reviewed.stdout
        approved = await command("approve", "--home", approver.path, digest[:12], "--yes")
        assert approved.exit_code == 0, approved.stderr
        assert f"edition.published {digest}" in approved.stdout

        response = await world.pull(bank)
        for stage in (exchange_pb2.RECEIPT_STAGE_RECEIVED, exchange_pb2.RECEIPT_STAGE_ACCEPTED):
            await world.confirm(bank, receipt_for(response.package, bank, stage, world.clock()))
        unpinned = json.loads((await command("status", "--home", maker.path, "--json")).stdout)
        assert [r["verdict"] for r in unpinned[0]["deliveries"][0]["receipts"]] == ["unknown", "unknown"]
        world.pin(maker, bank.signer().key)
        result = await command("status", "--home", maker.path, "--json")
        assert result.exit_code == 0
        [edition] = json.loads(result.stdout)
        [delivery] = edition["deliveries"]
        assert edition["state"] == "PUBLISHED"
        assert delivery["recipient"] == bank.party
        assert [(r["stage"], r["verdict"]) for r in delivery["receipts"]] == [
            ("RECEIVED", "true"),
            ("ACCEPTED", "true"),
        ]


async def test_a_file_is_published_once_for_a_period(tmp_path: Path) -> None:
    """A job that runs twice makes one edition; the second run says so by its exit code."""
    async with city(tmp_path) as world:
        file = made_up(tmp_path / "city.csv", 1500)
        first = await publish(world, file)
        again = await publish(world, file)
        assert (first.outcome, again.outcome) == ("edition.ready", "already")
        assert again.edition.digest == first.edition.digest
        result = await command(
            "publish",
            "--home",
            world.homes[MAKER].path,
            file,
            "--profile",
            "city-grades",
            "--period",
            "2019-04",
        )
        assert result.exit_code == Exit.NOTHING


async def test_an_upload_cut_at_any_chunk_goes_on_with_the_same_manifest(tmp_path: Path) -> None:
    """Whatever the moment of the cut, the retry resumes the sealed edition and makes one of it."""
    async with city(tmp_path) as world:
        file = made_up(tmp_path / "city.csv", 5 * 1024)
        home = world.homes[MAKER]
        digests = set()
        for cut in (1, 3, 5):

            def broken(what: str, done: int, cut: int = cut) -> None:
                if what == "chunks" and done == cut:
                    raise Cut

            with pytest.raises(ExchangeError):
                await publish(world, file, progress=broken)
            [pending] = Editions(home.state).all()
            assert pending.acknowledgement is None
            digests.add(pending.digest)
        done = await publish(world, file)
        assert (done.outcome, done.resumed) == ("edition.ready", True)
        assert {done.edition.digest} == digests
        statuses = await as_person(world, MAKER, lambda c, h: submission.list_editions(c))
        assert [s.manifest_digest for s in statuses] == [done.edition.digest]


async def test_a_lost_answer_is_given_again(tmp_path: Path) -> None:
    """A crash between the gateway's commit and the bureau's note of it changes nothing."""
    async with city(tmp_path) as world:
        file = made_up(tmp_path / "city.csv", 100)
        first = await publish(world, file)
        kept = first.edition.acknowledgement
        (first.edition.path / "acknowledgement.dsse").unlink()
        again = await publish(world, file)
        assert (again.outcome, again.resumed) == ("edition.ready", True)
        assert again.edition.acknowledgement == kept


async def test_another_file_waits_for_a_sealed_edition_that_has_not_arrived(tmp_path: Path) -> None:
    """Editions form one chain: a pending one goes first, or is forgotten by `cancel`."""
    async with city(tmp_path) as world:
        home = world.homes[MAKER]

        def broken(what: str, done: int) -> None:
            if what == "chunks":
                raise Cut

        with pytest.raises(ExchangeError):
            await publish(world, made_up(tmp_path / "one.csv", 50), progress=broken)
        with pytest.raises(Conflict) as refused:
            await publish(world, made_up(tmp_path / "two.csv", 50, seed=2))
        assert refused.value.basis == "edition.pending"
        [pending] = Editions(home.state).all()
        result = await command("cancel", "--home", home.path, pending.digest.hex(), "--reason", "wrong file")
        assert result.exit_code == 0, result.stderr
        assert (await publish(world, tmp_path / "two.csv")).outcome == "edition.ready"


async def test_the_next_edition_names_its_predecessor_and_is_compared_with_it(tmp_path: Path) -> None:
    """New, gone, renamed and changed taxpayers are counted in the seal and named in the folder."""
    async with city(tmp_path) as world:
        first = await publish(world, made_up(tmp_path / "april.csv", 2000))
        with pytest.raises(Conflict) as refused:
            await publish(world, made_up(tmp_path / "other.csv", 10, seed=9), MAY)
        assert refused.value.basis == "edition.predecessor"
        await approve(world, first.edition.digest)

        def change(lines: list[str]) -> list[str]:
            lines[1] = lines[1].replace("示例", "范例")
            lines[2] = lines[2].replace("税务所", "分局")
            del lines[3]
            return lines

        file = made_up(tmp_path / "may.csv", 2001, change=change)
        second = await publish(world, file, MAY)
        manifest = second.edition.manifest
        assert (manifest.sequence, manifest.predecessor) == (2, first.edition.digest)
        assert manifest.comparison == edition_pb2.Comparison(
            added=1, gone=1, renamed=1, changed=1, unchanged=1997
        )
        told = (second.edition.path / "comparison.csv").read_text(encoding="utf-8-sig").splitlines()[1:]
        assert sorted(line.split(",")[0] for line in told) == ["changed", "gone", "new", "renamed"]
        assert leaves_in_common(first.edition, second.edition) == 1997, "unchanged records keep their salt"


async def test_a_new_year_blinds_and_salts_anew(tmp_path: Path) -> None:
    """No leaf of one year can be found again in the next."""
    async with city(tmp_path) as world:
        file = made_up(tmp_path / "city.csv", 300)
        first = await publish(world, file)
        await approve(world, first.edition.digest)
        second = await publish(world, file, edition_pb2.Period(year=2020, month=4))
        assert second.edition.manifest.comparison.unchanged == 300
        assert first.edition.blinding_key != second.edition.blinding_key
        assert leaves_in_common(first.edition, second.edition) == 0


def leaves_in_common(one: Edition, other: Edition) -> int:
    from xinyi.v1 import records_pb2

    def leaves(edition: Edition) -> set[tuple[bytes, bytes]]:
        return {
            (r.salt, r.record)
            for _, data in edition.chunks()
            for r in records_pb2.Chunk.FromString(data).records
        }

    return len(leaves(one) & leaves(other))


async def test_who_published_is_told_so_before_anything_is_signed(tmp_path: Path) -> None:
    """The rule of the second person is the bureau's own as well as the gateway's."""
    async with city(tmp_path) as world:
        done = await publish(world, made_up(tmp_path / "city.csv", 20))
        maker = world.homes[MAKER]
        result = await command("approve", "--home", maker.path, done.edition.digest.hex(), "--yes")
        assert result.exit_code == Exit.REFUSED
        assert "approval.second_person" in result.stderr
        assert not (maker.state / "decisions").exists()
        with pytest.raises(NotEntitled):
            await approve(world, done.edition.digest, MAKER)
        assert not list((maker.state / "decisions").iterdir()), "a refused decision is not kept for a retry"


async def test_a_report_that_tells_another_story_is_refused(tmp_path: Path) -> None:
    """What an approver reads besides the manifest has to agree with what is sealed."""
    async with city(tmp_path) as world:
        done = await publish(world, made_up(tmp_path / "city.csv", 20))
        false = tmp_path / "report.json"
        false.write_text(json.dumps(done.edition.report | {"records": 21}))
        digest = done.edition.digest.hex()
        _, opened = await as_person(world, APPROVER, lambda c, h: reviewing.find_edition(c, h, digest))
        assert reviewing.read_report(done.edition.path / "report.json", opened)["records"] == 20
        with pytest.raises(DigestMismatch):
            reviewing.read_report(false, opened)


async def test_an_approver_counts_the_source_file_himself(tmp_path: Path) -> None:
    """The same file gives the sealed counts; any other file, or a changed one, does not."""
    async with city(tmp_path) as world:
        file = made_up(tmp_path / "city.csv", 30)
        manifest = (await publish(world, file)).edition.manifest
        same = inspection.inspect(open_source(file, "city-grades"), lambda n: None)
        inspection.check_against(manifest, same)
        file.write_bytes(file.read_bytes().replace(b"2018", b"2017", 1))
        other = inspection.inspect(open_source(file, "city-grades"), lambda n: None)
        with pytest.raises(DigestMismatch):
            inspection.check_against(manifest, other)


async def test_a_manifest_of_an_unknown_key_is_not_shown_as_ours(tmp_path: Path) -> None:
    """The approver's machine trusts the pinned keys of its colleagues, not the gateway's list."""
    async with city(tmp_path) as world:
        done = await publish(world, made_up(tmp_path / "city.csv", 20))
        approver = world.homes[APPROVER]
        approver.unpin(fingerprint(world.homes[MAKER]))
        with pytest.raises(VerificationError):
            await as_person(
                world, APPROVER, lambda c, h: reviewing.find_edition(c, h, done.edition.digest.hex())
            )
        result = await command("status", "--home", approver.path, "--json")
        assert result.exit_code == Exit.FALSE


async def test_a_poor_file_is_held_until_somebody_gives_a_reason(tmp_path: Path) -> None:
    """Below the product's threshold nothing is lost and nothing goes on by itself."""
    async with city(tmp_path) as world:

        def spoil(lines: list[str]) -> list[str]:
            return [lines[0]] + [
                line.replace(",2018,", ",unknown,") if i < 30 else line for i, line in enumerate(lines[1:])
            ]

        done = await publish(world, made_up(tmp_path / "city.csv", 100, change=spoil))
        assert done.outcome == "edition.held"
        digest = done.edition.digest
        with pytest.raises(Conflict):
            await approve(world, digest)
        released = await command(
            "release",
            "--home",
            world.homes[APPROVER].path,
            digest.hex()[:10],
            "--reason",
            "known, mended next month",
        )
        assert released.exit_code == 0, released.stderr
        assert await approve(world, digest) == "edition.published"


async def test_stop_says_who_has_the_edition(tmp_path: Path) -> None:
    """After `stop` the banks that have not got the edition will not get it."""
    async with city(tmp_path) as world:
        first, second = await world.bank("bank-1"), await world.bank("bank-2")
        done = await publish(world, made_up(tmp_path / "city.csv", 20))
        await approve(world, done.edition.digest)
        response = await world.pull(first)
        receipt = receipt_for(response.package, first, exchange_pb2.RECEIPT_STAGE_RECEIVED, world.clock())
        await world.confirm(first, receipt)
        maker = world.homes[MAKER]
        result = await command(
            "stop", "--home", maker.path, done.edition.digest.hex(), "--reason", "wrong district"
        )
        assert result.exit_code == 0, result.stderr
        [edition] = json.loads((await command("status", "--home", maker.path, "--json")).stdout)
        states = {d["recipient"]: d["state"] for d in edition["deliveries"]}
        assert states == {first.party: "RECEIVED", second.party: "STOPPED"}


async def test_receipts_of_another_edition_or_root_are_false(tmp_path: Path) -> None:
    """The bureau verifies what the gateway shows as a receipt, with its own manifest beside it."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        maker = world.homes[MAKER]
        world.pin(maker, bank.signer().key)
        done = await publish(world, made_up(tmp_path / "city.csv", 20))
        await approve(world, done.edition.digest)
        response = await world.pull(bank)
        receipt = receipt_for(response.package, bank, exchange_pb2.RECEIPT_STAGE_RECEIVED, world.clock())
        [status] = await as_person(world, MAKER, lambda c, h: submission.list_editions(c))
        assert judged(status, receipt, bank, maker) == "true"
        assert judged(status, changed(receipt, root=b"r" * 32), bank, maker) == "false"
        assert judged(status, changed(receipt, manifest_digest=b"m" * 32), bank, maker) == "false"
        assert judged(status, changed(receipt, accepted=19), bank, maker) == "false"
        assert judged(status, changed(receipt, signed_by=MAKER), bank, maker) == "false"
        assert judged(status, receipt, maker, maker) == "unknown", "sealed by somebody else's key"


def judged(status: pb.EditionStatus, receipt: exchange_pb2.DeliveryReceipt, signer: Home, home: Home) -> str:
    from audit import envelope

    shown = pb.EditionStatus()
    shown.CopyFrom(status)
    shown.deliveries[0].receipts.append(envelope.seal(receipt, signer.signer()))
    verdict: str = standing.describe(shown, home)["deliveries"][0]["receipts"][0]["verdict"]
    return verdict


def changed(receipt: exchange_pb2.DeliveryReceipt, **fields: Any) -> exchange_pb2.DeliveryReceipt:
    copy = exchange_pb2.DeliveryReceipt()
    copy.CopyFrom(receipt)
    for name, value in fields.items():
        setattr(copy, name, value)
    return copy


def fingerprint(home: Home) -> str:
    from audit.keys import keyid

    return keyid(home.signer().key)
