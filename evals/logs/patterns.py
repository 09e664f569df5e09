"""The messages of the simulated services. `{…}` is what differs from line to line."""

from __future__ import annotations

NORMAL = (
    ("info", "GET /api/orders/{n} answered 200 in {ms} ms"),
    ("info", "POST /api/carts/{uuid}/items answered 201 in {ms} ms"),
    ("info", "user {user} logged in from {ip}"),
    ("info", "user {user} logged out after {n} s"),
    ("info", "order {n} created for customer {user} total {ms} EUR"),
    ("info", "order {n} paid with card ending in {digits}"),
    ("info", "shipment {id} handed over to carrier {carrier}"),
    ("info", "mail to {user}@example.org queued as message {uuid}"),
    ("info", "stock of article {n} in warehouse {letter} is now {n}"),
    ("info", "connection from {ip}:{n} accepted"),
    ("info", "connection from {ip}:{n} closed after {ms} ms"),
    ("info", "job nightly-report finished: {n} rows in {ms} s"),
    ("info", "job reindex started by scheduler with {n} workers"),
    ("info", "configuration of feature {feature} read, revision {id}"),
    ("info", "payment {uuid} authorised by gateway {letter} in {ms} ms"),
    ("info", "refund of {ms} EUR for order {n} booked"),
    ("info", "health check from {ip} answered"),
    ("info", "session {id} extended by {n} minutes"),
    ("info", "invoice {n} rendered in {ms} ms, {n} pages"),
    ("info", "price of article {n} changed from {ms} to {ms}"),
    ("debug", "cache hit for key product:{n}"),
    ("debug", "cache miss for key product:{n}, loading from database"),
    ("debug", "statement took {ms} ms: SELECT * FROM orders WHERE id = {n}"),
    ("debug", "garbage collection freed {n} MB in {ms} ms"),
    ("debug", "pool has {n} idle and {n} busy connections"),
    ("debug", "heartbeat {n} sent to coordinator {ip}"),
    ("debug", "topic events.{letter} partition {n} committed at offset {n}"),
    ("debug", "compaction of segment {id} saved {n} bytes"),
    ("warning", "request {uuid} was slow: {ms} ms"),
    ("warning", "retry {n} of call to {ip} after timeout"),
    ("warning", "certificate of {carrier} expires in {n} days"),
    ("warning", "rate limit of client {user} reached, {n} requests refused"),
    ("warning", "disk usage of /var/lib/data is {n}%"),
)
"""What a healthy service writes, by level."""
ERRORS = (
    ("error", "payment {uuid} was declined by bank, code {n}"),
    ("error", "mail to {user}@example.org bounced: mailbox full"),
    ("error", "request {uuid} cancelled by client {ip} after {ms} ms"),
    ("error", "import of file {id}.csv has {n} invalid rows"),
    ("error", "carrier {carrier} answered 503 for shipment {id}"),
    ("error", "optimistic lock on order {n} failed, version {n} expected"),
)
"""Errors that a healthy service writes now and then."""
UNSEEN = (
    ("error", "connection to database orders at {ip} refused"),
    ("error", "too many connections for role shop, {n} in use"),
    ("critical", "out of memory: cannot allocate {n} bytes in worker {n}"),
    ("error", "no space left on device while writing segment {id}"),
    ("error", "certificate of gateway.example.org has expired {n} days ago"),
    ("error", "cannot resolve host payments.internal: no such name"),
    ("error", "deadlock detected between transactions {n} and {n}"),
    ("error", "column orders.discount does not exist in statement {id}"),
    ("error", "NullPointerException in OrderMapper.map at line {n}"),
    ("error", "broker {ip}:{n} is not available, message {uuid} kept"),
    ("error", "permission denied for table invoices, user {user}"),
    ("error", "token of service account shop was rejected by {ip}"),
    ("error", "schema version {n} of topic events.{letter} is unknown"),
    ("critical", "leader of partition {n} lost, no replica in sync"),
    ("error", "upstream {ip}:{n} closed the connection before the answer"),
    ("error", "thread pool exhausted, task {uuid} rejected with {n} waiting"),
)
"""Errors of failures."""
