"""Opens rows of a sealed table to the auditor who drew them: those rows, with what proves them, and nothing else.

    lending/<table>/openings/<challenge>.dsse         the opening, as it was sealed
    lending/<table>/openings/<challenge>.answer.dsse  what the gateway is told of it

Both are kept before anything leaves, so that whoever repeats the command sends the same bytes.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from adapters.bank.chain import Link, read_link
from adapters.bank.lending.building import ROWS
from adapters.bank.lending.kept import TABLE, KeptTable, KeptTables
from adapters.bank.package import Trust, verify_package
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool
from adapters.party.home import Home
from audit import checkpoint, record_proof
from audit.challenge import MAX_OPENING_BYTES, Drawn, opened_leaves, units_in, verify_opening
from audit.envelope import digest, open_sealed, parse_strict, seal
from audit.exchanges import check_signer
from audit.keys import party_of
from audit.lending_tree import LendingTree, commitment, opened_firm, sealed_root
from audit.verification.findings import EvidenceMissing
from audit.verification.policy import Policy
from xinyi import files
from xinyi.errors import DigestMismatch, EncodingInvalid, Invalid, Unknown, VerificationError
from xinyi.margins import Layout
from xinyi.settings import SettingsInvalid
from xinyi.v1 import envelope_pb2, lending_pb2

#: How often progress is told.
_PACE = 10_000


@dataclass(frozen=True)
class Answer:
    """What leaves: the opening to the auditor, the answer to the gateway."""

    opening: envelope_pb2.Envelope
    answer: envelope_pb2.Envelope


@dataclass(frozen=True)
class Draft:
    """What a person of the bank looks at before it is sealed."""

    drawn: Drawn
    opening: lending_pb2.Opening
    rows: int
    #: What the auditor will find wrong in it; empty where nothing.
    wrong: str


def drawn_of(home: Home, challenge: envelope_pb2.Envelope) -> Drawn:
    """
    1. a pinned person sealed it, to this bank, 2. its checkpoint is the log's, 3. its table was sealed here.

    Raises SettingsInvalid where the auditor's key is not pinned or the bureaus are not named; Unknown, Invalid,
    VerificationError.
    """
    # 1
    if not BankSettings.of(home).origins:
        raise SettingsInvalid(
            'name your bureaus in party.toml: [bank] origins = ["<city>/<party>"]; while none is named every pinned '
            "party counts as one, and the auditor's key has to be pinned, too",
            basis="settings.origins",
        )
    asked_by = parse_strict(challenge.payload, lending_pb2.Challenge).asked_by
    ring = home.keyring()
    if not any(key.holder == asked_by for key in ring):
        raise SettingsInvalid(
            f"no key of {asked_by or 'who asks'} is pinned, and rows are opened to known people only: "
            "`trust FILE --fingerprint HEX`, as compared with the auditor",
            basis="home.trust",
        )
    opened = open_sealed(challenge, lending_pb2.Challenge, ring)
    check_signer(opened, asked_by, party_of(asked_by))
    if opened.message.bank != home.party:
        raise Invalid("the challenge is to another bank", basis="challenge.bank")
    # 2
    head = checkpoint.verify(opened.message.checkpoint, home.log_key())
    # 3
    path = _folder(home, opened.message.table)
    if not (path / TABLE).exists():
        raise Unknown(f"{path} is missing: this table was not sealed in this home", basis="lending.table")
    return Drawn.of(KeptTable.open(path).sealed, challenge, head)


def find_answer(home: Home, drawn: Drawn) -> Answer | None:
    """What was sealed for this challenge before."""
    opening, answer = _kept(home, drawn)
    if not answer.exists():  # a crash in between left an opening that nobody has seen
        return None
    return Answer(_read_envelope(opening), _read_envelope(answer))


def draft(home: Home, drawn: Drawn, advance: Callable[[int], object] = lambda leaves: None) -> Draft:
    """Args: advance — is told after each so many leaves; there are two passes over them.

    Raises DigestMismatch where the rows kept here are not those that were sealed, Unknown where a record that a row
    relied on is not here any more, Invalid where the opening is too large for a file.
    """
    firms = _open_leaves(_folder(home, drawn.table_digest) / ROWS, drawn, advance)
    opening = lending_pb2.Opening(challenge=drawn.challenge_digest, table=drawn.table_digest, firms=firms)
    rows = _rely(home, opening)
    if opening.ByteSize() > MAX_OPENING_BYTES:
        raise Invalid(
            f"the opening has {opening.ByteSize() >> 20} MiB, more than a file may: have the auditor draw fewer units",
            basis="opening.size",
        )
    return Draft(drawn, opening, rows, _find_wrong(home, drawn, opening))


def keep(home: Home, draft: Draft) -> Answer:
    """Seals it. What is kept from here on is what leaves, whoever else drafted it meanwhile."""
    with KeptTables(home).lock():
        return find_answer(home, draft.drawn) or _seal(home, draft)


def _seal(home: Home, draft: Draft) -> Answer:
    opening_path, answer_path = _kept(home, draft.drawn)
    files.make_directory(opening_path.parent)
    signers = home.signers()
    opening = seal(draft.opening, *signers)
    answer = lending_pb2.ChallengeAnswer(
        challenge=draft.drawn.challenge_digest,
        opening=digest(opening),
        rows=draft.rows,
        answered_by=home.settings.holder,
        answered_at_ms=time.time_ns() // 1_000_000,
    )
    sealed = seal(answer, *signers)
    files.write_atomically(opening_path, opening.SerializeToString(deterministic=True))
    # Last: with it the opening beside it counts.
    files.write_atomically(answer_path, sealed.SerializeToString(deterministic=True))
    return Answer(opening, sealed)


# The leaves


def _open_leaves(path: Path, drawn: Drawn, advance: Callable[[int], object]) -> list[lending_pb2.OpenedFirm]:
    """Everything is computed anew from the records: what the file says of them besides counts for nothing."""
    if not path.exists():
        raise Unknown(f"{path} is missing: without the table's rows none can be opened", basis="lending.rows")
    layout = Layout.of(drawn.table)
    try:
        return _read_leaves(path, drawn, layout, advance)
    except (sqlite3.DatabaseError, DecodeError) as error:
        raise DigestMismatch(
            f"{path} cannot be read as the rows of a table ({error}); nothing was opened: restore the file",
            basis="lending.rows",
        ) from error


def _read_leaves(
    path: Path, drawn: Drawn, layout: Layout, advance: Callable[[int], object]
) -> list[lending_pb2.OpenedFirm]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        held = (units_in(firm, drawn.challenge.unit) for _, _, firm in _leaves(db, advance))
        wanted = [number for number, hit in enumerate(opened_leaves(held, drawn.units)) if hit]
        tree, kept = LendingTree(layout, wanted), dict.fromkeys(wanted, (b"", b""))
        for number, (salt, record, firm) in enumerate(_leaves(db, advance)):
            tree.add(commitment(salt, record), layout.cell_sums(firm))
            if number in kept:
                kept[number] = salt, record
    if not tree.leaves or tree.root() != sealed_root(drawn.table):
        raise DigestMismatch(
            f"{path}: these rows are not those that the table was sealed over; nothing was opened: restore the file",
            basis="lending.rows",
        )
    proofs = tree.proofs()
    return [opened_firm(number, *kept[number], proofs[number], tree.lanes) for number in wanted]


def _leaves(
    db: sqlite3.Connection, advance: Callable[[int], object]
) -> Iterator[tuple[bytes, bytes, lending_pb2.FirmLending]]:
    for number, (salt, record) in enumerate(db.execute("SELECT salt, record FROM leaves ORDER BY number"), 1):
        yield salt, record, lending_pb2.FirmLending.FromString(record)
        if number % _PACE == 0:
            advance(_PACE)


# The records they relied on


def _rely(home: Home, opening: lending_pb2.Opening) -> int:
    """Adds the records that opened rows relied on, and their editions. Returns how many rows are opened."""
    told = [[row.loan.reliance for row in _rows(firm) if row.loan.HasField("reliance")] for firm in opening.firms]
    keys: dict[bytes, set[bytes]] = {}
    for reliance in (reliance for reliances in told for reliance in reliances):
        keys.setdefault(reliance.manifest_digest, set()).add(reliance.blinded_key)
    proofs = dict(_prove(home, keys, opening)) if keys else {}
    for firm, reliances in zip(opening.firms, told, strict=True):
        for named in dict.fromkeys((r.manifest_digest, r.blinded_key) for r in reliances):
            if named not in proofs:
                edition = named[0].hex()[:16]
                raise Unknown(f"edition {edition}… holds no record under a key that a row names", basis="loan.reliance")
            firm.reliances.append(proofs[named])
    return sum(len(_rows(firm)) for firm in opening.firms)


def _rows(firm: lending_pb2.OpenedFirm) -> list[lending_pb2.LoanRow]:
    return list(lending_pb2.FirmLending.FromString(firm.record).rows)


def _prove(
    home: Home, keys: Mapping[bytes, set[bytes]], opening: lending_pb2.Opening
) -> Iterator[tuple[tuple[bytes, bytes], lending_pb2.OpenedReliance]]:
    """((edition, blinded key), the record proven), edition by edition; adds the editions to the opening."""
    settings = BankSettings.of(home)
    trust = Trust.of(
        home.keyring(), recipient=home.party, gateway=home.settings.gateway.party, origins=settings.origins
    )
    links = {link.digest: link for link in _links(Spool(settings.spool))}
    for edition, blinded in sorted(keys.items()):
        link = links.get(edition)
        if link is None or not link.whole:
            why = "is not in the spool" if link is None else "was purged of its records here"
            raise Unknown(
                f"edition {edition.hex()[:16]}…, on which a row relied, {why}: restore it", basis="edition.purged"
            )
        package = verify_package(link.edition.package(), trust)
        chunks = map(link.edition.chunk, range(package.chunk_count))
        documents = package.manifest.envelope, package.approval.envelope
        opening.editions.add(manifest=documents[0], approval=documents[1])
        for proof in record_proof.make_all(*documents, package.blinding_key, chunks, blinded):
            yield (
                (edition, proof.blinded_key),
                lending_pb2.OpenedReliance(
                    manifest_digest=edition, salt=proof.salt, record=proof.record, index=proof.index, path=proof.path
                ),
            )


def _links(spool: Spool) -> Iterable[Link]:
    for state in ("landed", "ready"):
        yield from map(read_link, spool.editions(state))


def _find_wrong(home: Home, drawn: Drawn, opening: lending_pb2.Opening) -> str:
    """The auditor's own check. What it finds is for a person to know, and for the auditor to see: it is opened."""
    origins = frozenset(BankSettings.of(home).origins)
    try:
        policy = Policy(home.log_key(), home.settings.gateway.party, origins, tuple(home.keyring()))
        verify_opening(drawn, opening, policy)
    except (VerificationError, Invalid) as error:
        return error.explanation
    except EvidenceMissing as error:
        return str(error)
    return ""


# Files


def _folder(home: Home, table: bytes) -> Path:
    return KeptTables(home).path / table.hex()


def _kept(home: Home, drawn: Drawn) -> tuple[Path, Path]:
    folder, name = _folder(home, drawn.table_digest) / "openings", drawn.challenge_digest.hex()
    return folder / f"{name}.dsse", folder / f"{name}.answer.dsse"


def _read_envelope(path: Path) -> envelope_pb2.Envelope:
    try:
        return envelope_pb2.Envelope.FromString(path.read_bytes())
    except DecodeError as error:
        raise EncodingInvalid(f"{path} is no envelope: restore it") from error
