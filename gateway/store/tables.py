"""Every table of the gateway's database but the log's own. Columns are indexes over signed bytes.

LOGGED tables are written through the door only, and each row's digest stands in the log entry of the
exchange that wrote it (LogEntry.changes), so that a later edit is found. Rows hold text, integers, bytes
and nulls, nothing else: their canonical JSON is what is hashed. Times are milliseconds since 1970 UTC.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from audit.log import metadata
from gateway.store.lending_tables import (
    challenges,
    lending_cells,
    lending_tables,
    outcome_acts,
    outcome_batches,
    outcome_changes,
    outcome_chunks,
    outcome_intakes,
    outcome_sums,
    outcomes,
    reporting_terms,
    statistics,
    statistics_deliveries,
)

__all__ = [
    "LOGGED",
    "challenges",
    "lending_cells",
    "lending_tables",
    "metadata",
    "outcome_acts",
    "outcome_batches",
    "outcome_changes",
    "outcome_chunks",
    "outcome_intakes",
    "outcome_sums",
    "outcomes",
    "reporting_terms",
    "statistics",
    "statistics_deliveries",
]

parties = Table(
    "parties",
    metadata,
    Column("party", String, primary_key=True),  # "<city>/<party>"
    Column("kind", String, nullable=False),  # BANK, TAX_BUREAU, CITY, AUDITOR, GATEWAY
    Column("display_name", Text, nullable=False),
    Column("state", String, nullable=False),  # rules/partners.py
    Column("changed_at_ms", BigInteger, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("keyid", String, primary_key=True),
    Column("party", ForeignKey("parties.party"), nullable=False),
    Column("holder", String, nullable=False),
    Column("algorithm", Integer, nullable=False),  # KeyAlgorithm
    Column("purpose", Integer, nullable=False),  # KeyPurpose
    Column("spki", LargeBinary, nullable=False),
    Column("state", String, nullable=False),  # ACTIVE, RETIRED, COMPROMISED
    Column("registered_at_ms", BigInteger, nullable=False),
    Column("compromised_since_ms", BigInteger),
    Column("registration", LargeBinary, nullable=False),  # digest of the KeyRegistration document
)

agreements = Table(
    "agreements",
    metadata,
    Column("agreement_id", String, primary_key=True),
    Column("party", ForeignKey("parties.party"), nullable=False),
    Column("number", Text, nullable=False),  # as the parties know it
    Column("valid_from", String, nullable=False),  # ISO dates, inclusive
    Column("valid_until", String, nullable=False),
    Column("disclosure_class", Integer, nullable=False),  # the widest class it permits
    Column("state", String, nullable=False),  # IN_FORCE, SUSPENDED, ENDED
    Column("annex", LargeBinary),  # digest of the AgreementAnnex document
)

products = Table(
    "products",
    metadata,
    Column("product", String, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("enabled", Integer, nullable=False),
    Column("disclosure_class", Integer, nullable=False),
    Column("record_schema", String, nullable=False),
    Column("definition", Text, nullable=False),  # canonical JSON: field set, grades, thresholds
)

entitlements = Table(
    "entitlements",
    metadata,
    Column("party", ForeignKey("parties.party"), primary_key=True),
    Column("product", ForeignKey("products.product"), primary_key=True),
    Column("agreement_id", ForeignKey("agreements.agreement_id"), nullable=False),
    Column("channel", Integer, nullable=False),  # Channel
    Column("target", Text, nullable=False),  # inbox "host:port", folder path, or ""
    Column("state", String, nullable=False),  # ACTIVE, ENDED
)

editions = Table(
    "editions",
    metadata,
    Column("manifest_digest", LargeBinary, primary_key=True),
    Column("origin", ForeignKey("parties.party"), nullable=False),
    Column("product", ForeignKey("products.product"), nullable=False),
    Column("year", Integer, nullable=False),
    Column("month", Integer, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("state", String, nullable=False),  # rules/editions.py
    Column("record_count", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("blinding_key", LargeBinary, nullable=False),
    Column("issued_by", String, nullable=False),
    Column("approval", LargeBinary),  # digest of the Approval document
    Column("changed_at_ms", BigInteger, nullable=False),
    Column("note", Text, nullable=False),  # why HELD, CANCELLED or STOPPED
    # One live edition per place in the sequence; a cancelled one frees its place (sequence_slot null).
    Column("sequence_slot", Integer),
    UniqueConstraint("origin", "product", "sequence_slot"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", String, primary_key=True),
    Column("manifest_digest", ForeignKey("editions.manifest_digest"), nullable=False),
    Column("recipient", ForeignKey("parties.party"), nullable=False),
    Column("product", String, nullable=False),
    Column("agreement_id", String, nullable=False),
    Column("channel", Integer, nullable=False),
    Column("target", Text, nullable=False),
    Column("state", String, nullable=False),  # rules/deliveries.py
    Column("document", LargeBinary),  # digest of the sealed Delivery
    Column("attempts", Integer, nullable=False),  # transfers of this generation
    Column("generation", Integer, nullable=False),  # how often a person revived it, or it was offered anew
    Column("last_error", Text, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
    UniqueConstraint("manifest_digest", "recipient"),
)
Index("deliveries_of_recipient", deliveries.c.recipient, deliveries.c.product)

receipts = Table(
    "receipts",
    metadata,
    Column("delivery_id", ForeignKey("deliveries.delivery_id"), primary_key=True),
    Column("stage", Integer, primary_key=True),  # ReceiptStage
    Column("document", LargeBinary, nullable=False, unique=True),  # digest of the DeliveryReceipt
    Column("recorded_at_ms", BigInteger, nullable=False),
)

# Which entries of the log tell of a delivery or an edition by a document: intakes, decisions, offers, receipts.
# Derived from the log, where it could only be found by reading all of it.
entries_by_name = Table(
    "entries_by_name",
    metadata,
    Column("name", String, primary_key=True),  # delivery id, or manifest digest in hex
    Column("leaf", LargeBinary, primary_key=True),
)

# Whom a CORRECTION has to reach, whatever became of them: everybody who was given what it corrects.
recalls = Table(
    "recalls",
    metadata,
    Column("correction", ForeignKey("editions.manifest_digest"), primary_key=True),
    Column("recipient", ForeignKey("parties.party"), primary_key=True),
    Column("delivery_id", String, nullable=False),
    Column("state", String, nullable=False),  # OPEN, CONFIRMED, STOPPED
    Column("changed_at_ms", BigInteger, nullable=False),
)

objections = Table(
    "objections",
    metadata,
    Column("objection", LargeBinary, primary_key=True),  # digest of the Objection document
    Column("origin", ForeignKey("parties.party"), nullable=False),
    Column("number", String, nullable=False),
    Column("product", ForeignKey("products.product"), nullable=False),
    Column("manifest_digest", ForeignKey("editions.manifest_digest"), nullable=False),
    Column("blinded_key", LargeBinary, nullable=False),
    Column("filed_on", String, nullable=False),
    Column("due_on", String, nullable=False),
    Column("state", String, nullable=False),  # OPEN, UPHELD, PARTLY, DENIED, UNDECIDABLE
    Column("decision", LargeBinary),  # digest of the ObjectionDecision document
    Column("changed_at_ms", BigInteger, nullable=False),
    UniqueConstraint("origin", "number"),
)

row_answers = Table(
    "row_answers",
    metadata,
    Column("document", LargeBinary, primary_key=True),  # digest of the RowAnswer document
    Column("manifest_digest", ForeignKey("editions.manifest_digest"), nullable=False),
    Column("answered_at_ms", BigInteger, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    Column("number", String, primary_key=True),
    Column("document", LargeBinary, nullable=False),  # digest of the ChangeNotice document
    Column("effective_on", String, nullable=False),
    Column("replaced_by", String),
)

# An answered document gets the same answer again: judged on the document's digest alone. Not LOGGED, since
# the answer names its log leaf: verification finds it through the leaf (docs/evidence-format.md).
answers = Table(
    "answers",
    metadata,
    Column("document", LargeBinary, primary_key=True),
    Column("answer", LargeBinary, nullable=False),  # digest of the Acknowledgement or Refusal
)

# Identical refusals of one day are logged once; this finds the first one's log leaf.
refusals = Table(
    "refusals",
    metadata,
    Column("party", String, primary_key=True),
    Column("method", String, primary_key=True),
    Column("basis", String, primary_key=True),
    Column("subject", String, primary_key=True),  # digest of the document, delivery id, leaf or product
    Column("day", String, primary_key=True),
    Column("leaf", LargeBinary, nullable=False),
)
Index("refusals_of_day", refusals.c.party, refusals.c.day)

# Sealed documents as they came; content-addressed, so an edit shows by itself.
documents = Table(
    "documents",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("envelope", LargeBinary, nullable=False),
)

# Staged in small transactions while an edition arrives; the edition's row makes them real. Sealed by the
# manifest's chunk roots.
chunks = Table(
    "chunks",
    metadata,
    Column("manifest_digest", LargeBinary, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    Column("last_key", LargeBinary, nullable=False),  # blinded key of its last record: resume needs it
    Column("grades", Text, nullable=False),  # canonical JSON, grade number → records
    Column("run", LargeBinary),  # audit.buckets.Run: what a FULL's state consists of
)
Index("chunks_by_key", chunks.c.manifest_digest, chunks.c.last_key)

# The records as they stand after an edition, in buckets (audit.buckets): those it changed, or all where it is a
# FULL. A bucket after edition n is the row of the newest edition up to n that has one. Derived from the chunks:
# made anew where it is missing.
buckets = Table(
    "buckets",
    metadata,
    Column("manifest_digest", LargeBinary, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("entries", LargeBinary, nullable=False),
)

# The digests of all buckets after an edition. Written behind its last bucket: without it they are not whole.
states = Table(
    "states",
    metadata,
    Column("manifest_digest", LargeBinary, primary_key=True),
    Column("digests", LargeBinary, nullable=False),
)

# Manifests whose chunks are still arriving: nothing here is real yet.
intakes = Table(
    "intakes",
    metadata,
    Column("manifest_digest", LargeBinary, primary_key=True),
    Column("envelope", LargeBinary, nullable=False),
    Column("blinding_key", LargeBinary, nullable=False),
    Column("begun_at_ms", BigInteger, nullable=False),
)

# Which gateway processes live: work of the others is resumed (workflows.py).
workers = Table(
    "workers",
    metadata,
    Column("worker", String, primary_key=True),
    Column("process", String, nullable=False),  # "<host>:<pid>"
    Column("seen_at_ms", BigInteger, nullable=False),
)

#: Tables whose every row is a function of the log; an export shows them and verification replays them.
LOGGED: tuple[Table, ...] = (
    parties,
    keys,
    agreements,
    products,
    entitlements,
    editions,
    deliveries,
    receipts,
    recalls,
    objections,
    row_answers,
    notices,
    reporting_terms,
    lending_tables,
    outcome_acts,
    outcome_batches,
    challenges,
    statistics,
    statistics_deliveries,
)
