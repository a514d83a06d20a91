"""What makes a notice of changes valid. Pure. Rules are named in notice.proto."""

from __future__ import annotations

from xinyi.fields import (
    check_date,
    check_digest,
    check_name,
    check_no_identifier,
    check_sentence,
    check_time,
    require,
)
from xinyi.v1 import notice_pb2

_KINDS = frozenset(notice_pb2.NoticeKind.values()) - {notice_pb2.NOTICE_KIND_UNSPECIFIED}
#: Kinds that tell the fingerprint of what comes.
_PRINTED = (notice_pb2.NOTICE_KIND_CERTIFICATE, notice_pb2.NOTICE_KIND_KEY)


def check_change_notice(notice: notice_pb2.ChangeNotice) -> None:
    check_name(notice.number, "notice.number")
    check_no_identifier(notice.number, "notice.number")
    require(notice.kind in _KINDS, "notice.kind", "it is not said what changes")
    check_date(notice.effective_on, "notice.effective_on")
    check_sentence(notice.text_zh, "notice.text")
    check_sentence(notice.text_en, "notice.text")
    if notice.kind in _PRINTED:
        check_digest(notice.fingerprint, "notice.fingerprint")
    else:
        require(not notice.fingerprint, "notice.fingerprint", "only a certificate or a key has a fingerprint")
    if notice.replaces:
        check_name(notice.replaces, "notice.replaces")
        require(notice.replaces != notice.number, "notice.replaces", "a notice cannot replace itself")
    if notice.urgent:
        check_sentence(notice.urgent, "notice.urgent")
    check_time(notice.announced_at_ms, "notice.announced_at")
