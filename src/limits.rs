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
/// The head of one response. Each kept connection holds a buffer of this size, and servers
/// with long policies send 8 KiB.
pub const RESPONSE_HEAD_BYTES: usize = 16 * 1024;
/// The whole of one fetch, redirects included, unless a source says otherwise.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(30);
/// Name resolution alone; the resolver's own patience is longer than a fetch.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(8);
/// One TCP and TLS handshake.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Nodes that followed data may come through.
pub const FOLLOWED_NODES: usize = 8;
/// Redirects followed in one fetch.
pub const REDIRECTS: u32 = 5;
/// Write buffer of one connection, which the longest line of a request has to fit; ureq's
/// default is 128 KiB. The read buffer takes a whole response head.
pub const TRANSPORT_BUFFER_BYTES: usize = 8 * 1024;
/// Each buffer of the socket below TLS, which buffers whole records itself.
pub const TLS_BUFFER_BYTES: usize = 4 * 1024;
/// How long an unused connection is kept for the next fetch.
pub const KEPT_CONNECTION: Duration = Duration::from_secs(90);
/// How often a wait of the kernel's (lookup, connect) looks whether the node stops.
pub const STOP_GLANCE: Duration = Duration::from_millis(50);
/// Values of one JSON body: at about 100 bytes each in memory, 20 MB for the moment of
/// reading. A body of 4 MiB could hold two million.
pub const JSON_VALUES: usize = 200_000;
/// A wall clock before this (2026-01-01) is wrong, since the program is younger:
/// certificates cannot be judged by it.
pub const EARLIEST_WALL_S: i64 = 1_767_225_600;
/// Bytes of an `ETag` or `Last-Modified` that is sent back.
pub const VALIDATOR_BYTES: usize = 1024;
/// Failures in a row after which connections are opened anew and nothing kept is trusted.
pub const FRESH_POOL_AFTER: u64 = 3;
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
