//! Every bound of the node, with its reason. A queue, read, loop or wait that is not
//! bounded by one of these is a defect.

use std::time::Duration;

// ---- Readings ------------------------------------------------------------------------

/// Records of one source. A default selection of a chatty API must not fill the node.
pub const RECORDS_PER_SOURCE: usize = 256;
/// Records in all: 2,000 × about 60 bytes is a snapshot of 120 kB, the most that a Pi Zero
/// should render on a change.
pub const RECORDS_IN_ALL: usize = 2_000;
/// Bytes of a key: it stands in URLs, file names of exports and metric labels.
pub const KEY_BYTES: usize = 128;
/// Bytes of a text reading; displays have one line.
pub const TEXT_BYTES: usize = 256;
/// Issues kept of one response; the rest is counted.
pub const ISSUES_PER_RESPONSE: usize = 32;
/// Characters of a sample shown in an issue.
pub const SAMPLE_CHARS: usize = 48;
/// Levels of a JSON response that selection descends; serde_json refuses 128 itself.
pub const JSON_DEPTH: usize = 64;

// ---- Fetching ------------------------------------------------------------------------

/// Sources of one configuration: one thread each.
pub const SOURCES: usize = 128;
/// Body after decompression, unless a source says otherwise.
pub const BODY_BYTES: u64 = 4 * 1024 * 1024;
/// All heads of one response together.
pub const RESPONSE_HEAD_BYTES: usize = 32 * 1024;
/// The whole of one fetch, redirects included, unless a source says otherwise.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(30);
/// Name resolution alone; the resolver's own patience is longer than a fetch.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(8);
/// One TCP and TLS handshake.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Redirects followed in one fetch.
pub const REDIRECTS: u32 = 5;
/// Read and write buffer of one connection; ureq's default is 128 KiB each.
pub const TRANSPORT_BUFFER_BYTES: usize = 16 * 1024;
/// The longest pause between attempts that back-off alone makes.
pub const BACK_OFF: Duration = Duration::from_secs(15 * 60);
/// The longest `Retry-After` that is obeyed: a server that says more is asked daily.
pub const RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);
/// The shortest interval of a source; below it a "node" is a load test.
pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

// ---- Threads -------------------------------------------------------------------------

/// Stack of a thread of ours. musl gives 128 KiB unasked, which deep JSON overflows;
/// glibc 8 MiB, which counts against `MemoryMax` only where touched.
pub const STACK_BYTES: usize = 512 * 1024;
/// Observations waiting for `ingest`; a fetcher that finds it full waits, since ingest
/// never waits for the disk.
pub const OBSERVATION_QUEUE: usize = 64;
/// The longest turn of `ingest`: a clock that becomes trusted announces itself to nobody.
pub const INGEST_PATIENCE: Duration = Duration::from_secs(10);
/// A loop silent for this long is stuck: `/healthz` says 503.
pub const STUCK: Duration = Duration::from_secs(60);
/// The whole stop, from signal to exit, before threads are left behind.
pub const STOP: Duration = Duration::from_secs(5);

// ---- Storage -------------------------------------------------------------------------

/// How long readings wait so that one commit serves many; the configuration's
/// `commit_every`.
pub const COMMIT_EVERY: Duration = Duration::from_secs(60);
/// Readings that wait in memory while the disk cannot take them: 20,000 × about 120 bytes
/// is 2.4 MB, or 50 keys a minute for six hours.
pub const ROWS_WAITING: usize = 20_000;
/// How long readings wait for a clock that can be believed.
pub const CLOCK_PATIENCE: Duration = Duration::from_secs(600);
/// How long SQLite waits for another process's lock.
pub const DATABASE_BUSY: Duration = Duration::from_secs(5);
/// How far a peer's `Date` may be from ours and still vouch for our clock.
pub const CLOCK_AGREEMENT: Duration = Duration::from_secs(300);

// ---- Serving -------------------------------------------------------------------------

/// Connections in all; well below the usual 1,024 descriptors.
pub const CONNECTIONS: usize = 256;
/// Connections of one address: many displays may sit behind one, none needs more.
pub const CONNECTIONS_PER_ADDRESS: usize = 64;
/// Request head: a display sends 200 bytes, a browser 1 kB.
pub const REQUEST_HEAD_BYTES: usize = 8 * 1024;
/// Headers of one request.
pub const REQUEST_HEADERS: usize = 64;
/// The whole head, from the first byte (or from accepting) to its end.
pub const REQUEST_HEAD_TIME: Duration = Duration::from_secs(5);
/// A connection without a request.
pub const IDLE_TIME: Duration = Duration::from_secs(30);
/// One answer, until the client has taken it.
pub const WRITE_TIME: Duration = Duration::from_secs(10);
/// Answers not yet taken by clients, in all; past it new requests get 503.
pub const BYTES_OUTSTANDING: usize = 8 * 1024 * 1024;
/// Threads of tiny_http's pool behind the gate; as many backend connections at most.
pub const WORKERS: usize = 4;
/// One answer of the pool, from asking to its last byte.
pub const BACKEND_TIME: Duration = Duration::from_secs(10);
/// One answer of the pool; a page is 30 kB, an exported history a few hundred.
pub const BACKEND_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Event streams at once.
pub const EVENT_STREAMS: usize = 200;
/// A comment on a silent event stream.
pub const EVENT_HEARTBEAT: Duration = Duration::from_secs(15);
/// Displays remembered, by address and agent; the one silent longest yields.
pub const DISPLAYS: usize = 64;
/// Points of one `/history` answer.
pub const HISTORY_POINTS: usize = 2_000;

// ---- Alerts --------------------------------------------------------------------------

/// Events that wait on one channel: with reminders that widen and flapping told once, weeks
/// of outage. Past it the oldest never tried are dropped, counted, and told so.
pub const OUTBOX_ROWS: usize = 500;
/// Events told in one message; the rest follows in the next.
pub const EVENTS_PER_MESSAGE: usize = 50;
/// Incidents kept for the page, the oldest closed ones given up first.
pub const INCIDENTS: usize = 1_000;
/// How long the first event waits for others, so that one cause makes one mail.
pub const GATHER: Duration = Duration::from_secs(10);
/// The shortest and longest pause between attempts to deliver.
pub const DELIVERY_BACK_OFF: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(3600));
/// One step of an SMTP dialogue; servers that delay their greeting on purpose take 10 s.
pub const SMTP_STEP: Duration = Duration::from_secs(30);
/// The text of a message, until the server has taken it; scanning for spam takes a while.
pub const SMTP_DATA: Duration = Duration::from_secs(120);
/// Characters of a server's reply that are shown.
pub const REPLY_CHARS: usize = 200;
/// One call of a webhook or a ping.
pub const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(15);
/// How often a dead man's switch is told that all is well.
pub const PING_EVERY: Duration = Duration::from_secs(60);
