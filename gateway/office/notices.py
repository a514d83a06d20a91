"""Notices of changes: sealed by the gateway, one number once for ever, read by every party there ever was."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from audit.keys import Signer
from gateway.exchange import Exchange
from gateway.rules.notices import check_period, check_replaces, check_same_kind
from gateway.store import notices, tables
from gateway.store.editions import get_document
from xinyi.days import day_of
from xinyi.errors import Conflict, UsageInvalid
from xinyi.notices import check_change_notice
from xinyi.v1 import envelope_pb2, notice_pb2


def fingerprint(kind: notice_pb2.NoticeKind, file: Path | None) -> bytes:
    """Of what comes: SHA-256 of the DER certificate, or of the public key's SubjectPublicKeyInfo; empty for others.

    Args:
        file: PEM; of a chain, the first certificate.

    Raises Invalid where the kind needs a file and there is none, or another one.
    """
    if kind not in (notice_pb2.NOTICE_KIND_CERTIFICATE, notice_pb2.NOTICE_KIND_KEY):
        if file is not None:
            raise UsageInvalid("only a certificate or a key has a fingerprint", basis="notice.fingerprint")
        return b""
    of_key = kind == notice_pb2.NOTICE_KIND_KEY
    expected = "PUBLIC KEY" if of_key else "CERTIFICATE"
    if file is None:
        raise UsageInvalid(f"name the {expected} it is about, PEM, with --fingerprint", basis="notice.fingerprint")
    pem = file.read_bytes()
    encoding = serialization.Encoding.DER
    try:
        if of_key:
            public = serialization.load_pem_public_key(pem)
            der = public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
        else:
            der = x509.load_pem_x509_certificates(pem)[0].public_bytes(encoding)
    except ValueError as error:
        raise UsageInvalid(f"{file} holds no PEM {expected}", basis="notice.fingerprint") from error
    return hashlib.sha256(der).digest()


def announce(
    x: Exchange, notice: notice_pb2.ChangeNotice, days: int, signer: Signer, actor: str
) -> envelope_pb2.Envelope:
    """Seals, keeps and logs a notice. Its time is set here.

    Args:
        days: the notice period of its kind, calendar days.

    Raises Invalid, Conflict, Unknown.
    """
    notice.announced_at_ms = x.now_ms
    check_change_notice(notice)
    check_period(notice, day_of(x.now_ms), days)
    if notices.find_notice(x.conn, notice.number) is not None:
        raise Conflict(
            f"there is a notice {notice.number}: a number is given once for ever", basis="notice.number"
        )
    if notice.replaces:
        replaced = notices.find_notice(x.conn, notice.replaces)
        check_replaces(replaced, notice.replaces)
        assert replaced is not None  # check_replaces refused otherwise
        sealed = get_document(x.conn, replaced["document"])
        check_same_kind(notice_pb2.ChangeNotice.FromString(sealed.payload), notice)
        x.replace(tables.notices, replaced | {"replaced_by": notice.number})
    sealed = x.seal(notice, signer)
    digest = x.document(sealed)
    x.add(
        tables.notices,
        {
            "number": notice.number,
            "document": digest,
            "effective_on": notice.effective_on,
            "replaced_by": None,
        },
    )
    x.log("notice.announced", actor=actor, documents=[digest], detail=f"{notice.number}: {notice.effective_on}")
    return sealed
