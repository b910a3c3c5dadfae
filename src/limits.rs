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
/// The longest pause between attempts to use a storage that fails: a card put back is
/// noticed within a minute.
pub const STORAGE_BACK_OFF: Duration = Duration::from_secs(60);
/// A commit that takes longer is told as trouble: the card blocks.
pub const SLOW_COMMIT: Duration = Duration::from_secs(20);
/// How long rows are kept one by one, as hours and (longer) as days.
pub const RAW_KEPT: Duration = Duration::from_secs(30 * 86_400);
pub const HOURLY_KEPT: Duration = Duration::from_secs(2 * 365 * 86_400 + 86_400);
/// Size of the database past which the oldest rows go early.
pub const DATABASE_BYTES: u64 = 2_000_000_000;
/// Ids that one step of retention looks at: about 100 pages, 10 ms on a PC, so that nobody
/// waits long for the connection.
pub const RETENTION_STEP_IDS: i64 = 5_000;
/// Steps of retention between two looks at the queue.
pub const RETENTION_STEPS: usize = 8;
/// Pages that one step gives back to the file system.
pub const VACUUM_STEP_PAGES: u32 = 256;
/// Keys of one hour whose rows are held in memory while that hour is summed up anew: 64
/// keys at one row a second are 230,000 rows, about 10 MB.
pub const RECOMPUTED_KEYS: usize = 64;
/// Pages of the write-ahead log before it is copied into the database: 4 MB. Pages that
/// change with every commit are then written back once for many commits.
pub const WAL_PAGES: u32 = 1_000;
/// SQLite's page cache of one connection, in KiB: the pages that one commit touches are
/// about 30, a query of a year 200.
pub const PAGE_CACHE_KIB: u32 = 2_000;
/// Raw rows that one history query may look at; beyond it the hourly tier answers. A day
/// of 50 keys at 10 s is 432,000.
pub const HISTORY_RAW_ROWS: i64 = 500_000;
/// Hours that make a chart by themselves: a query of more looks at raw rows only where they
/// are few, because hours answer it in a tenth of the time.
pub const HISTORY_CHART_HOURS: i64 = 72;
pub const HISTORY_RAW_ROWS_OF_DAYS: i64 = 50_000;
/// Rows of the hourly tier that one history query reads; beyond it the daily tier answers.
pub const HISTORY_HOURS: i64 = 4_400;
/// Rows held at once by an export, which sorts and corrects within a part of an hour.
pub const EXPORT_ROWS: i64 = 50_000;
/// At most one damaged database is set aside in this time; a card that destroys faster
/// must not be filled with the remains.
pub const SALVAGE_PAUSE: Duration = Duration::from_secs(3600);
/// Rows that one step of a salvage takes over: a tenth of a second on a PC, so that new
/// readings are committed between.
pub const SALVAGE_STEP_ROWS: usize = 10_000;
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
