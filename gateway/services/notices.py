"""NoticeService: what changes, and when, for every party that was ever admitted."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from gateway.reception import Reception
from gateway.rules.partners import check_right
from gateway.store import notices, parties
from xinyi.server import caller
from xinyi.v1 import notice_service_pb2 as pb
from xinyi.v1.notice_service_pb2_grpc import NoticeServiceServicer


class Notices(NoticeServiceServicer):
    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    async def ListNotices(self, request: pb.ListNoticesRequest, context: Any) -> pb.ListNoticesResponse:
        who = caller(context)

        def query(conn: Connection) -> pb.ListNoticesResponse:
            # A notice tells what heads and proofs will be signed with: whoever may have those may have these.
            check_right(parties.find_party(conn, who.party), "read_log")
            return pb.ListNoticesResponse(notices=notices.standing_notices(conn))

        async with self._reception.refusals_signed(who, "ListNotices"):
            return await self._reception.database.read(query)
