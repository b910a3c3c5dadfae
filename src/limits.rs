//! Limits: every bound and timeout of the node, with its reason. A queue, read, loop or wait
//! that none of these bounds is a defect.

use std::ops::RangeInclusive;
use std::time::Duration;

// ---- Readings ------------------------------------------------------------------------

/// Records of one source, unless it says otherwise. A default selection of a chatty API must not
/// fill the node.
pub const RECORDS_PER_SOURCE: usize = 256;
/// Records in all, unless the configuration says otherwise: 2,000 × about 60 bytes is a snapshot
/// of 120 kB, the most that a Pi Zero should render on a change.
pub const RECORDS_TOTAL: usize = 2_000;
/// Memory that one record takes with its row in the snapshot, the representations and pages that
/// show it and their compressed forms: 5,000 records that are all asked for take 23 MB (x86-64).
pub const RECORD_MEMORY_BYTES: u64 = 5_000;
/// The most records that a configuration may ask for, of one source and in all: 25 MB of the 48 MB
/// that the unit allows before it slows the node down (`MemoryHigh`).
pub const MAX_CONFIGURED_RECORDS: usize = 5_000;
/// Good answers in a row without a key before it may be forgotten: a device that is off for
/// a while, or an answer that is cut short, must not cost its key.
pub const FORGET_AFTER_RESPONSES: u64 = 30;
/// How long those answers must last, unless a source says otherwise: what is only there by
/// day, such as a solar inverter, stays.
pub const FORGET_AFTER: Duration = Duration::from_secs(86_400);
/// How often it is saved for how long keys have been absent: a power cut loses no more of that, and
/// the card is spared.
pub const ABSENCES_SAVE_INTERVAL: Duration = Duration::from_secs(3_600);
/// The most that one pause between two fetches counts towards [`FORGET_AFTER`], in intervals of
/// the source: the time that a suspended machine slept does not count.
pub const MAX_CREDITED_INTERVALS: u32 = 3;
/// Names shown of the keys that a limit leaves out.
pub const DROPPED_KEYS_SHOWN: usize = 3;
/// Keys of the database that are kept in memory, at about 200 bytes each: twice as many as
/// there can be records by default, or as one commit has, if that is more, so that a node without
/// dynamic keys reads each from disk once.
pub const KEY_CACHE_ENTRIES: usize = CACHED_KEYS_PER_RECORD * RECORDS_TOTAL;
pub const CACHED_KEYS_PER_RECORD: usize = 2;
/// Rows of the hourly tier that a start reads to learn for how long keys have been absent:
/// 30 hours of all records, a month of 80 keys.
pub const RESTORED_HOURLY_ROWS: usize = 60_000;
/// Bytes of a key: it stands in URLs, file names of exports and metric labels.
pub const KEY_BYTES: usize = 128;
/// Bytes of a text reading; displays have one line.
pub const TEXT_BYTES: usize = 256;
/// Characters of a text for which a `map` is advised: the name of a state.
pub const MAPPED_TEXT_CHARS: usize = 24;
/// Tables of `[key."PATTERN"]`: each is compared with every record that is published.
pub const KEY_PATTERNS: usize = 64;
/// Entries of the `keys` of a group or wall: each is compared with every record of a page.
pub const GROUP_KEYS: usize = 200;
/// Keys whose week `check` reads hour by hour to see whether they are meters: 168 hours of each.
pub const METER_CANDIDATES: usize = 100;
/// Characters of a label and of a word for a value: a line on a tile.
pub const LABEL_CHARS: usize = 60;
/// Digits behind the decimal mark that an owner may ask for.
pub const DECIMALS: u8 = 9;
/// Bytes of a unit that a response names.
pub const UNIT_BYTES: usize = 32;
/// Characters of a unit in a text behind its number: as long as the longest that is in use.
pub const UNIT_CHARS: usize = 16;
/// Characters of a record's `pattern`, and bytes that it may take compiled: enough for a line of
/// text, and little enough that the slowest takes 30 ms for the longest text.
pub const PATTERN_CHARS: usize = 200;
pub const PATTERN_BYTES: usize = 16 * 1024;
/// Bytes of a text in which a `pattern` searches: a page of a device.
pub const PATTERN_TEXT_BYTES: usize = 16 * 1024;
/// Words of a JSON response that stand for no number (`nan`) and are quoted in its issues; the
/// others are null.
pub const NOT_NUMBERS: usize = 256;
/// Elements that become rows at once; the rest of a long list follows, so that a first response
/// leaves room for other readings in [`WRITE_BUFFER_ROWS`].
pub const SERIES_ROWS_AT_ONCE: usize = WRITE_BUFFER_ROWS / 4;
/// Between two such parts: a commit of one is over by then.
pub const SERIES_ROWS_INTERVAL: Duration = Duration::from_secs(10);
/// Issues kept of one response; the rest is counted.
pub const ISSUES_PER_RESPONSE: usize = 32;
/// Characters of a sample shown in an issue.
pub const SAMPLE_CHARS: usize = 48;
/// Characters shown of the place of an issue: a hostile body is one name of 4 MiB.
pub const POINTER_CHARS: usize = 160;
/// Escapes of escapes in which secrets are searched: an error page in JSON quotes an address.
pub const ESCAPE_LEVELS: usize = 4;
/// End of a text that was cut off in which the begin of a secret is searched, with its escapes.
pub const CUT_SECRET_BYTES: usize = 1024;
/// Nodes that one JSONPath may select.
pub const JSON_PATH_NODES: usize = 2_000;
/// Elements with times of their own that one key may have: a week of five minutes, or two days
/// of minutes.
pub const SERIES_ELEMENTS: usize = 2_000;
/// How many elements after the current one a record may be: 10 days of quarter hours.
pub const ELEMENTS_AHEAD: u64 = 1_000;
/// Bytes of a JSONPath: long ones have three filters or a list of names.
pub const JSON_PATH_BYTES: usize = 512;
/// Derived keys: each is computed anew for every observation.
pub const DERIVED_KEYS: usize = 200;
/// How often a window's value is stored at least while it does not change: charts of a day then
/// have no gap.
pub const UNCHANGED_WINDOW_INTERVAL: Duration = Duration::from_secs(300);
/// How long a value holds where nothing says when it is stale: three times the default interval
/// of sources.
pub const DEFAULT_HOLD: Duration = Duration::from_secs(900);
/// The longest `over` of a derived key: a leap year.
pub const MAX_WINDOW: Duration = Duration::from_secs(366 * 86_400);
/// Bytes of a formula: a line that a person still understands.
pub const FORMULA_BYTES: usize = 1_000;
/// Parentheses, signs and powers of a formula that are open at once: it is parsed recursively.
pub const FORMULA_DEPTH: usize = 32;
/// Filters of one JSONPath: each is tried on every element that the path reaches.
pub const JSON_PATH_FILTERS: usize = 2;
/// Conditions joined by `&&` and `||` in one JSONPath: 8 on all values of the largest response
/// take 0.05 s (x86-64).
pub const JSON_PATH_CONDITIONS: usize = 8;
/// How many nodes the selectors in brackets of one JSONPath may make of one, multiplied: 4 times
/// the values of the largest response are 7 MB of references. With `..` it is one, since those
/// are copied at each level.
pub const JSON_PATH_SELECTORS: usize = 4;
/// Brackets and parentheses of a JSONPath that are open at once: it is parsed recursively.
pub const JSON_PATH_NESTING: usize = 8;
/// Places shown of the values that a JSONPath finds where one is expected.
pub const JSON_PATH_NODES_SHOWN: usize = 3;
/// Records of one source that `main-node once` explains: a screen.
pub const EXPLAINED_RECORDS: usize = 40;
/// Values that `main-node pick` prints: more scroll off a screen.
pub const PICKED_VALUES_SHOWN: usize = 40;
/// Lines of records that `main-node init` writes into a configuration: a screen.
pub const INIT_RECORD_LINES: usize = 40;
/// Lists of a response for which it writes lines.
pub const INIT_LISTS: usize = 3;
/// Levels of a JSON response that selection descends.
pub const JSON_DEPTH: usize = 64;
/// Levels of a JSON text that are read: as many as serde_json takes, a stack's worth.
pub const JSON_NESTING: usize = 127;
/// Characters shown of a body where it is not of its format.
pub const BODY_SAMPLE_CHARS: usize = 40;
/// Characters at the begin of a response by which its format is guessed for a message.
pub const GUESSED_FORMAT_CHARS: usize = 4096;
/// The same in lines.
pub const GUESSED_FORMAT_LINES: usize = 20;
/// Characters at the begin of a response in which a NUL or a broken character means binary data.
pub const BINARY_CHECK_CHARS: usize = 64;

/// Wrong passwords from one address within [`WRONG_PASSWORD_WINDOW`]: a person mistypes a few times, and
/// at ten a minute a list of ten thousand takes a day.
pub const WRONG_PASSWORDS: usize = 10;
/// How long a wrong password counts.
pub const WRONG_PASSWORD_WINDOW: Duration = Duration::from_secs(60);
/// Addresses whose wrong passwords are counted each by itself: 100 bytes each.
pub const THROTTLED_ADDRESSES: usize = 256;
/// Addresses that gave the right password and are never locked out: more than one house has
/// displays and people.
pub const TRUSTED_ADDRESSES: usize = 64;
/// Bytes of a file that a person writes: the configuration, `.env`, a password, certificates.
/// The largest is a bundle of root certificates, 250 kB.
pub const TEXT_FILE_BYTES: u64 = 4_000_000;

/// Rows of its input that a window of a derived key keeps one by one, 32 bytes each: a late row is
/// counted exactly among the newest day of a source that is asked each minute.
pub const WINDOW_ROWS: usize = 2_048;
/// How many are left when the earliest of them are summed up.
pub const WINDOW_ROWS_KEPT: usize = 1_536;
/// Parts of a window in which earlier rows are summed up, 80 bytes each: the hours of a month, or
/// two minutes of a day. So often, at most, rows leave a window.
pub const WINDOW_BUCKETS: usize = 768;
/// Ids that one step of a rebuild looks at.
pub const WINDOW_STEP_IDS: i64 = RETENTION_STEP_IDS;
/// How often the state of windows is saved: with it a start reads the rows of this time at most.
pub const WINDOW_SAVE_INTERVAL: Duration = Duration::from_secs(6 * 3_600);
/// How often it is looked for windows to rebuild, and how often one is rebuilt because of late rows:
/// that reads the rows of some hours.
pub const WINDOW_CHECK_INTERVAL: Duration = Duration::from_secs(10);
pub const WINDOW_REBUILD_INTERVAL: Duration = Duration::from_secs(600);
/// Rows of all keys that a start reads for windows, 0.2 s on a PC; what is past them is read
/// afterwards, between commits.
pub const RESTORED_WINDOW_ROWS: i64 = 150_000;
/// Rows before a window that are looked at for the one that its first step counts from, and hours
/// in which they are searched: a fall before it may be judged by them.
pub const ROWS_BEFORE_WINDOW: i64 = 8;
pub const HOURS_BEFORE_WINDOW: i64 = 400;

// ---- Fetching ------------------------------------------------------------------------

/// Sources of one configuration: one thread each.
pub const SOURCES: usize = 128;
/// Devices of one `[[source]]` with `for`: half of all sources, so that a typing error in one table
/// leaves room for the others.
pub const DEVICES_PER_SOURCE: usize = 64;
/// Body after decompression, unless a source says otherwise.
pub const BODY_BYTES: u64 = 4 * 1024 * 1024;
/// A request head that is cached with its response, to be recognised when it comes again.
pub const CACHED_HEAD_BYTES: usize = 512;
/// Bytes read of an error's body (403), to see whether it mentions a quota: errors are short.
pub const ERROR_BODY_BYTES: u64 = 4 * 1024;
/// Challenges of one 401 response: servers offer one for each scheme and algorithm.
pub const CHALLENGES: usize = 16;
/// Characters of a challenge's parameter that a message shows: names of algorithms are shorter.
pub const CHALLENGE_PARAM_CHARS: usize = 40;
/// Realm, nonce and opaque of a Digest challenge, which each request repeats: Apache's take 150 bytes.
pub const DIGEST_CHALLENGE_BYTES: usize = 4 * 1024;
/// Servers of one user and password that asked for Digest: of each source, and where it is
/// redirected to from http to https.
pub const DIGEST_SERVERS: usize = 2 * SOURCES;
/// Levels below a field `error` in which its text is searched: `{"errors": [{"message": "…"}]}`.
pub const ERROR_MESSAGE_DEPTH: usize = 3;
/// The name of a proxy's error (`ERR_DNS_FAIL`); a longer one is no name and not shown.
pub const PROXY_ERROR_BYTES: usize = 40;
/// The head of one response. Each kept connection holds a buffer of this size, and servers
/// with long policies send 8 KiB.
pub const RESPONSE_HEAD_BYTES: usize = 16 * 1024;
/// Characters of a name in a certificate that a message shows: host names are shorter.
pub const CERTIFICATE_NAME_CHARS: usize = 64;
/// Names of a certificate that a message shows; some certificates have a hundred.
pub const CERTIFICATE_NAMES: usize = 3;
/// Fingerprints that one option takes: the present certificate, the next one, those of a few
/// devices behind one name.
pub const FINGERPRINTS: usize = 16;
/// Expected fingerprints that a message shows; each has a hundred characters.
pub const FINGERPRINTS_SHOWN: usize = 2;
/// The shortest RSA key of a server: the cryptography library verifies no shorter one.
pub const RSA_KEY_BITS: usize = 2048;
/// Interim responses (`103 Early Hints`) before a response: servers send one or two.
pub const INTERIM_RESPONSES: usize = 16;
/// Content codings of one body: more than one is rare, and each could be a bomb in another.
pub const CONTENT_CODINGS: usize = 3;
/// Members of a gzip stream: each costs a decompressor of 40 kB, and the blocks of `bgzip` hold
/// 64 kB each.
pub const GZIP_MEMBERS: usize = 1_000;
/// Requests that are sent once more after a 401 or 403, with another credential: after the first
/// for its challenge, after the second because a nonce was stale (RFC 7616 §3.3).
pub const AUTH_RETRIES: u32 = 2;
/// A request for a token or a login, also where a source's own `timeout` is shorter: a server that
/// has given a new refresh token takes the old one no more, so its response must not be lost.
pub const AUTH_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a stop waits for the response to a request for a token: well within what the fetch
/// threads have to end.
pub const AUTH_STOP_GRACE: Duration = Duration::from_millis(1_500);
/// Body of a response to a request for a token or to a login, after decompression: a few kB of JSON, or a
/// page.
pub const AUTH_BODY_BYTES: u64 = 256 * 1024;
/// Between two renewals of a token, by how many sources it is shared whatsoever: a server whose tokens
/// are refused at once is not asked with each fetch.
pub const TOKEN_RENEWAL_GAP: Duration = Duration::from_secs(60);
/// The same after a refusal that lasts until a person changes something. A wrong password that is
/// sent each minute locks an account.
pub const AUTH_REFUSAL_GAP: Duration = Duration::from_secs(300);
/// How long before its end a token is renewed, or a tenth of its lifetime, if that is less: a fetch that
/// begins now still finds it valid.
pub const TOKEN_MARGIN: Duration = Duration::from_secs(30);
/// The longest lifetime of a token that is counted: what a server says beyond is a mistake, or never.
pub const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Bytes of an access token, a session's token or the cookies of a request: with the rest of its line it has
/// to fit [`TRANSPORT_BUFFER_BYTES`]. A JSON Web Token has 1 to 4 kB, and servers refuse lines of more
/// than 8 kB.
pub const CREDENTIAL_BYTES: usize = 7 * 1024;
/// Bytes of a token that is no header: a refresh token.
pub const TOKEN_BYTES: usize = 16 * 1024;
/// Tokens that are still masked after they were replaced: a server may name an old one.
pub const MASKED_TOKENS: usize = 6;
/// Between two looks whether the node stops, while another thread or process renews a token.
pub const AUTH_WAIT_STEP: Duration = Duration::from_millis(50);
/// The file of tokens, and one entry of it: an access token and a refresh token.
pub const TOKEN_FILE_BYTES: u64 = 4_000_000;
pub const TOKEN_ENTRY_BYTES: u64 = 2 * TOKEN_BYTES as u64 + 4_096;
/// Tokens in that file, and those of one `auth` with changed settings: what is removed from the
/// configuration stays for a while.
pub const TOKENS: usize = 100;
pub const TOKENS_PER_AUTH: usize = 3;
/// What compression may add to a body that it cannot make smaller.
pub const CODING_OVERHEAD_BYTES: u64 = 4 * 1024;
/// The whole of one fetch, redirects included, unless a source says otherwise.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(30);
/// Name resolution alone; the resolver's own timeout is longer than a fetch.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(8);
/// Addresses of one name that are tried: the capacity of ureq's list.
pub const RESOLVED_ADDRESSES: usize = 16;
/// Questions by multicast DNS for one name: packets on a wireless network get lost.
pub const MDNS_TRIES: u32 = 3;
/// How long each is waited for: sleeping stations get multicast packets after 0.3 s.
pub const MDNS_WAIT: Duration = Duration::from_secs(1);
/// The part of the time for a name that multicast DNS may take, as a divisor: the other half is the
/// system resolver's.
pub const MDNS_SHARE: u32 = 2;
/// After the first address: the other family's answer is on its way.
pub const MDNS_GATHER: Duration = Duration::from_millis(100);
/// How often a wait for answers looks whether the node stops.
pub const MDNS_STOP_CHECK: Duration = Duration::from_millis(100);
/// Interfaces asked, times two families: a machine with containers has many bridges.
pub const MDNS_SOCKETS: usize = 32;
/// Packets looked at for one name: more than every interface answers to every try.
pub const MDNS_PACKETS: usize = 256;
/// Bytes of a packet (RFC 6762, 17).
pub const MDNS_PACKET_BYTES: usize = 9000;
/// Records kept of one packet.
pub const MDNS_RECORDS: usize = 64;
/// Addresses of one name.
pub const MDNS_ADDRESSES: usize = RESOLVED_ADDRESSES;
/// The longest that an address from multicast DNS is used without asking again; responders give
/// one-shot questions 10 s (RFC 6762, 6.7).
pub const MDNS_CACHE: Duration = Duration::from_secs(60);
/// How long a `.local` name is first looked up where it was found last, in the system's resolver.
pub const MDNS_SILENT: Duration = Duration::from_secs(600);
/// `.local` names remembered: one for each source.
pub const LOCAL_NAMES: usize = SOURCES;
/// One TCP and TLS handshake.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Nodes that followed data may come through.
pub const UPSTREAM_HOPS: usize = 8;
/// Redirects followed in one fetch.
pub const REDIRECTS: u32 = 5;
/// Pages of one response that are fetched, unless a source says otherwise.
pub const PAGES: u32 = 10;
/// The most pages that a source may ask for: each is a request, and all are in memory at once.
pub const MAX_CONFIGURED_PAGES: u32 = 100;
/// Write buffer of one connection, which the longest line of a request has to fit; ureq's
/// default is 128 KiB. The read buffer takes a whole response head.
pub const TRANSPORT_BUFFER_BYTES: usize = 8 * 1024;
/// Each buffer of the socket below TLS, which buffers whole records itself.
pub const TLS_BUFFER_BYTES: usize = 4 * 1024;
/// How long an unused connection is kept for the next fetch.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(90);
/// Connections to one device at home at once, idle ones included: some take no second one.
pub const CONNECTIONS_PER_DEVICE: usize = 1;
/// The same for any other server: browsers open six.
pub const CONNECTIONS_PER_SERVER: usize = 4;
/// The most that a source may ask for.
pub const MAX_CONFIGURED_CONNECTIONS: u64 = 16;
/// What the kernel gets beyond the time of a connect, to say itself how it ended.
pub const CONNECT_GRACE: Duration = Duration::from_millis(50);
/// Characters of an answer that could not be read, as a command shows them: enough to know a
/// login page or an error's message.
pub const RESPONSE_SAMPLE_CHARS: usize = 300;
/// Characters of it that are kept beyond those that are shown: a secret at the cut must be whole
/// when it is masked.
pub const RESPONSE_SAMPLE_MARGIN_CHARS: usize = 512;
/// Lines in front of a CSV table that are looked through for its columns: titles are a few.
pub const CSV_TITLE_LINES: usize = 20;
/// Values of one JSON body: at about 100 bytes each in memory, 20 MB for the moment of
/// reading. A body of 4 MiB could hold two million.
pub const JSON_VALUES: usize = 200_000;
/// Values that an object counts as, beside itself and its fields: its map takes more than 600
/// bytes, however few they are. 35,040 objects of two fields, a year of quarter hours, still fit.
pub const OBJECT_VALUES: usize = 2;
/// Bytes of a column's name that count as one value more: each row of a CSV repeats the names.
pub const VALUE_NAME_BYTES: usize = 32;
/// Levels of XML elements. Tables of a device have ten; each level is kept open while it is read.
pub const XML_DEPTH: usize = 64;
/// A wall clock before this (2026-01-01) is wrong, since the program is younger:
/// certificates cannot be judged by it.
pub const EARLIEST_PLAUSIBLE_WALL_S: i64 = 1_767_225_600;
/// Bytes of an `ETag` or `Last-Modified` that is sent back.
pub const VALIDATOR_BYTES: usize = 1024;
/// Cookies that one server may set for an `auth`, and bytes of each with its path: a session needs two or
/// three, and browsers refuse larger ones.
pub const COOKIES: usize = 20;
pub const COOKIE_BYTES: usize = 4_096;
/// Pause after a login that failed, or whose session was refused at once: a third wrong password may lock
/// the account.
pub const LOGIN_PAUSE: Duration = Duration::from_secs(300);
/// Least time between two logins that succeed.
pub const LOGIN_INTERVAL: Duration = Duration::from_secs(60);
/// Cookies that are still masked after they were replaced or have ended: the page that ends a
/// session may repeat it.
pub const MASKED_COOKIES: usize = 20;
/// Failures in a row after which connections are opened anew.
pub const RECONNECT_AFTER_FAILURES: u64 = 3;
/// The longest pause between attempts that back-off alone makes.
pub const MAX_BACK_OFF: Duration = Duration::from_secs(15 * 60);
/// The longest `Retry-After` that is obeyed: a server that says more is fetched from daily.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);
/// The longest lifetime of a response (`Expires`) that is obeyed.
pub const MAX_EXPIRY: Duration = Duration::from_secs(24 * 3600);
/// The same in intervals of the source: a server that lets its responses live for months must
/// not turn a source off.
pub const MAX_EXPIRY_INTERVALS: u32 = 10;
/// How far ahead quota use is saved: the card is written six times an hour at most, and a
/// power cut costs a source no more than this.
pub const QUOTA_RESERVATION: Duration = Duration::from_secs(600);
/// How long a source with a quota waits for the disk before it fetches anyway: a card that
/// blocks is reported as a storage problem, and must not stop fetching.
pub const QUOTA_WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// A `Retry-After` of at least this length is saved across restarts; saving shorter ones would
/// wear the card for nothing.
pub const MIN_PERSISTED_RETRY_AFTER: Duration = Duration::from_secs(60);
/// The shortest time between two early fetches of a source that test this node's own network
/// while another source fails: flapping must not multiply a server's load.
pub const EARLY_PROBE_INTERVAL: Duration = Duration::from_secs(300);
/// The shortest interval of a source; below it a "node" is a load test.
pub const MIN_INTERVAL: Duration = Duration::from_secs(1);

// ---- OpenAPI files -------------------------------------------------------------------

/// Bytes of the files of an `[[api]]` that `serve` lowers itself: twice a large vendor's (1 MB).
pub const API_FILE_BYTES: u64 = 2_000_000;
/// Memory that it may take for that: all of it fits in the unit (`MemoryMax=64M`).
pub const API_MEMORY_BYTES: usize = 24_000_000;
/// The same for commands (`check`, `operations FILE`): the largest file of a vendor is 13 MB.
pub const COMMAND_API_FILE_BYTES: u64 = 16_000_000;
/// Memory that commands take for it; less where the machine has less (`sys::memory`).
pub const COMMAND_API_MEMORY_BYTES: usize = 160_000_000;
/// Bytes of the operations that sources name, of all OpenAPI files together, for as long as the
/// process runs. The largest vendors' take 40 kB each; read back they take some times as much.
pub const API_TEXT_BYTES: usize = 4_000_000;
/// Bytes of the header of a lowered form: a description may be spread over thousands of files.
pub const LOWERED_FORM_HEADER_BYTES: usize = 1_000_000;

// ---- Threads -------------------------------------------------------------------------

/// Stack of a thread of ours. musl gives 128 KiB unasked, which deep JSON overflows;
/// glibc 8 MiB, which counts against `MemoryMax` only where touched.
pub const STACK_BYTES: usize = 512 * 1024;
/// Threads beside one for each source: store, ingest, http and its poller, the web workers
/// and tiny_http's, alert delivery, backup, watchdog, one that connects.
pub const THREADS_BESIDE_SOURCES: usize = 18;
/// Observations waiting for `ingest`; a fetcher that finds it full waits, since ingest
/// never waits for the disk.
pub const OBSERVATION_QUEUE: usize = 64;
/// The longest wait of `ingest`: nothing signals that a clock became trusted.
pub const INGEST_WAIT_TIMEOUT: Duration = Duration::from_secs(10);
/// A loop silent for this long is stuck: `/healthz` says 503.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a command is silent: after that a person wants to know that it goes on.
pub const PROGRESS_DELAY: Duration = Duration::from_secs(3);
/// The whole stop, from signal to exit, before threads are left behind.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// Of it, for responses that are being sent.
pub const SHUTDOWN_RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The same at a reload, during which new connections wait: shorter than the patience of a display.
pub const RELOAD_RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);

// ---- Storage -------------------------------------------------------------------------

/// How long readings wait so that one commit serves many; the configuration's
/// `commit_every`.
pub const COMMIT_EVERY: Duration = Duration::from_secs(60);
/// Readings that wait in memory while the disk cannot take them: 20,000 × about 120 bytes
/// is 2.4 MB, or 50 keys a minute for six hours.
pub const WRITE_BUFFER_ROWS: usize = 20_000;
/// The longest offset of a date placeholder, 100 years: far from the ends of the calendar.
pub const PLACEHOLDER_OFFSET_DAYS: i64 = 36_525;
/// How deeply the table of a request body may be nested.
pub const REQUEST_BODY_DEPTH: usize = 64;
/// The same for a parameter.
pub const PARAMETER_DEPTH: usize = 9;
/// The longest example body of an OpenAPI file that `operations` repeats whole: a screen.
pub const EXAMPLE_BODY_BYTES: usize = 400;
/// The deepest table of an example body that is made of a schema.
pub const EXAMPLE_BODY_DEPTH: usize = 6;
/// How often a source that waits for the clock looks whether it is trusted.
pub const CLOCK_TRUST_POLL: Duration = Duration::from_secs(5);
/// How long readings, and requests that contain the date, wait for a clock that can be trusted.
pub const CLOCK_TRUST_TIMEOUT: Duration = Duration::from_secs(600);
/// Below this much room `check` warns: about a month of 50 readings a minute.
pub const LOW_DISK_BYTES: u64 = 200_000_000;
/// How long SQLite waits for another process's lock.
pub const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The same at start, when displays wait for the first answer.
pub const SQLITE_BUSY_TIMEOUT_AT_START: Duration = Duration::from_millis(200);
/// How often the store checks whether its files are still those at their paths: a replaced
/// file is reported within this time, and before anything more is written.
pub const FILE_CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// How long a database that was put in place has to be left alone before it is opened: a copy
/// from another file system arrives in pieces.
pub const FILE_QUIET_TIME: Duration = Duration::from_secs(2);
/// Size of a database up to which it is read whole when something else has written to it.
pub const INTEGRITY_CHECK_BYTES: u64 = 256 * 1024 * 1024;
/// The longest pause between attempts to use a storage that fails: a card put back is
/// noticed within a minute.
pub const MAX_STORAGE_BACK_OFF: Duration = Duration::from_secs(60);
/// A commit that takes longer is reported as a storage problem: the card blocks.
pub const SLOW_COMMIT: Duration = Duration::from_secs(20);
/// How long rows are kept one by one, as hours and (longer) as days.
pub const RAW_RETENTION: Duration = Duration::from_secs(30 * 86_400);
pub const HOURLY_RETENTION: Duration = Duration::from_secs(2 * 365 * 86_400 + 86_400);
/// Size of the database past which the oldest rows go early.
pub const DATABASE_BYTES: u64 = 2_000_000_000;
/// Ids that one step of retention looks at: about 100 pages, 10 ms on a PC, so that nobody
/// waits long for the connection.
pub const RETENTION_STEP_IDS: i64 = 5_000;
/// Rows that an import, a rename or a forget deals with in one transaction.
pub const MAINTENANCE_STEP_ROWS: u64 = 10_000;
/// Hours of all keys that a rename or a forget looks through at once.
pub const MAINTENANCE_STEP_HOURS: i64 = 240;
/// How often a command asks for the state of what a service does for it before it looks whether the
/// service still runs.
pub const SERVICE_LOCK_POLLS: u32 = 20;
/// Steps of retention between two looks at the queue.
pub const RETENTION_STEPS: usize = 8;
/// Pages that one step of retention returns to the file system.
pub const VACUUM_STEP_PAGES: u32 = 256;
/// Keys of one hour whose rows are held in memory while that hour is summed up anew: 64
/// keys at one row a second are 230,000 rows, about 10 MB.
pub const ROLLUP_BATCH_KEYS: usize = 64;
/// Pages of the write-ahead log before it is copied into the database: 4 MB. Pages that
/// change with every commit are then written back once for many commits.
pub const WAL_CHECKPOINT_PAGES: u32 = 1_000;
/// SQLite's page cache of one connection, in KiB: the pages that one commit touches are
/// about 30, a query of a year 200.
pub const PAGE_CACHE_KIB: u32 = 2_000;
/// Prepared SQL statements that the writing connection keeps; some 3 KB each. A commit, retention
/// and the status use about 40 in turn.
pub const PREPARED_STATEMENTS: usize = 64;
/// Rows of all tiers that one `/history` reads, those of other keys in between included;
/// past it the request is cut off. Coarser tiers are chosen so that it is not reached.
pub const HISTORY_ROWS: u64 = 100_000;
/// Of them, those that only coarse tiers may have: 1,000 hours walked through twice.
pub const HISTORY_COARSE_ROWS: u64 = 10_000;
/// Of them, for one hour of a key: looked up twice, with the search for the next.
pub const HISTORY_COARSE_ROWS_PER_HOUR: u64 = 4;
/// Rows that one page with its charts reads, and those of them that only coarse tiers may
/// have, so that 120 sparklines have their hours when there are many raw rows.
pub const PAGE_ROWS: u64 = 400_000;
pub const PAGE_COARSE_ROWS: u64 = 60_000;
/// Raw rows that one history query may look at, about 10 ms on a PC; beyond it coarser
/// tiers answer. Five hours of 50 keys at 10 s. What else such a query reads (1,000 hours
/// twice, five-minute rollups) fits beside them into `HISTORY_ROWS`.
pub const HISTORY_RAW_ROWS: i64 = 90_000;
/// Ids that one statement scans before rows and time are counted: a millisecond.
pub const SCAN_IDS: i64 = 4_096;
/// One request that reads the database, once it has a permit; then it is cut off.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long such a request waits for its permit: three others before it take `QUERY_TIMEOUT`
/// each. With its own it is less than `POOL_TIMEOUT`.
pub const QUERY_QUEUE_TIMEOUT: Duration = Duration::from_secs(6);
/// Hours of five-minute rollups that one history query reads, twelve rows each; beyond it the
/// hourly tier answers.
pub const HISTORY_FIVE_MINUTE_HOURS: i64 = 8 * 24;
/// Ids among which an hour's rows lie, from which on it gets five-minute rollups: reading that
/// many takes as long as reading the rollups.
pub const FIVE_MINUTE_MIN_IDS: i64 = 600;
/// Ids past which an hour gets none, and charts take it as a whole: 140 readings a second
/// reach it, and the store thread is busy with them for 50 ms on a PC.
pub const FIVE_MINUTE_MAX_IDS: i64 = 500_000;
/// How long an hour is over before its five-minute rollups are made, so that late rows are
/// included.
pub const FIVE_MINUTE_DELAY_S: i64 = 600;
/// Rows of the hourly tier that one history query reads; beyond it the daily tier answers.
pub const HISTORY_HOURS: i64 = 4_400;
/// Rows held at once by an export, which sorts and corrects within a part of an hour.
pub const EXPORT_ROWS: i64 = 50_000;
/// Different keys of one import: what they and their units take is 5 MB at most.
pub const IMPORT_KEYS: usize = 10_000;
/// The longest `meta` of a row that an import keeps.
pub const IMPORT_META_BYTES: usize = 4_000;
/// The longest line of a text that an import reads, and record of several lines: past it a quote
/// is not closed.
pub const IMPORT_LINE_BYTES: u64 = 1_000_000;
/// Rows of an SQLite file that an import reads under one lock: a tenth of a second on a PC, some
/// seconds on a Pi Zero, which is less than programs wait for a lock.
pub const IMPORT_ROWS_AT_ONCE: usize = 50_000;
/// The longest cell of an SQLite file that an import reads.
pub const IMPORT_CELL_BYTES: i32 = 16_000_000;
/// Tables, or their columns, that a message names.
pub const IMPORT_NAMES_SHOWN: usize = 12;
/// SQLite's page cache while a staged file is written, in KiB: the end of each of 2,000 days, for
/// an input that is in the order of its keys.
pub const STAGING_CACHE_KIB: u32 = 16_000;
/// Ids that a database of ours can have: past these its counters would soon overflow, and a
/// thousand rows a second do not get there in the age of the universe.
pub const VALID_IDS: std::ops::RangeInclusive<i64> = 0..=1 << 62;
/// Versions that a database can say it has; past it, a bit of the number has flipped.
pub const MAX_SCHEMA_VERSION: i32 = 1_000;
/// Hours since 1970 that a row can have: the years 1 to 9999, which RFC 3339 can say.
pub const VALID_HOURS: std::ops::RangeInclusive<i64> = -17_259_888..=70_389_528;
/// At most one damaged database is quarantined in this time; a card that destroys faster
/// must not be filled with the remains.
pub const MIN_SALVAGE_INTERVAL: Duration = Duration::from_secs(3600);
/// Rows that one step of a salvage copies: a tenth of a second on a PC, so that new
/// readings are committed between.
pub const SALVAGE_STEP_ROWS: usize = 10_000;
/// Pages that one step of a salvage reads, where few of them hold a row.
pub const SALVAGE_STEP_PAGES: usize = 1_000;
/// Free space that a salvage leaves on the card for new readings: one part in so many, and no
/// more than so many bytes.
pub const SALVAGE_FREE_PART: u64 = 20;
pub const SALVAGE_FREE_BYTES: u64 = 16 << 20;
/// How often a salvage that waits for disk space checks again.
pub const SALVAGE_RETRY_INTERVAL: Duration = Duration::from_secs(60);
/// How long a trusted clock that jumped has to keep the new time before ages, stamps and alerts
/// use it: nobody leaves a wrong clock for a week, and a restart uses the new time at once.
pub const CLOCK_JUMP_TIMEOUT: Duration = Duration::from_secs(7 * 86_400);
/// The same for a clock that had been trusted for less than this: it may have been wrong at
/// the start, and set right since.
pub const MIN_CLOCK_JUMP_TIMEOUT: Duration = Duration::from_secs(3_600);
/// What retention's own clock may catch up at once: in each boot for the time that the machine
/// was off, and in one reading. A wrong wall clock costs at most so much of what is kept.
pub const MAX_RETENTION_CATCH_UP: Duration = Duration::from_secs(86_400);
/// How far retention's clock moves before it is saved again: it deletes by the hour.
pub const RETENTION_CLOCK_SAVE_INTERVAL: Duration = Duration::from_secs(3_600);
/// Servers whose `Date` is remembered: two that agree are enough.
pub const CLOCK_PEERS: usize = 8;
/// How many responses of one server confirm our clock, and over how long.
pub const CLOCK_PEER_DATES: u32 = 3;
pub const CLOCK_PEER_PERIOD: Duration = Duration::from_secs(1_800);
/// How far a peer's `Date` may be from ours and still confirm our clock; and how far wall and
/// monotonic time may part before a clock has jumped.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

// ---- Serving -------------------------------------------------------------------------

/// Connections in all; well below the usual 1,024 descriptors.
pub const CONNECTIONS: usize = 256;
/// Connections of one address: many displays may sit behind one, none needs more.
pub const CONNECTIONS_PER_ADDRESS: usize = 64;
/// A token of fewer characters can be guessed.
pub const TOKEN_CHARS: usize = 16;
/// Of all connections, one part in so many is what one trusted proxy gets: others reach the node
/// whatever comes through it.
pub const PROXY_SHARE: usize = 2;
/// The path prefix of a reverse proxy: it stands in every link of a page.
pub const PATH_PREFIX_BYTES: usize = 200;
/// Request head: a display sends 200 bytes, a browser 1 kB.
pub const REQUEST_HEAD_BYTES: usize = 8 * 1024;
/// Body of a POST, which is read and dropped: the log of a display.
pub const POST_BODY_BYTES: u64 = 4 * 1024;
/// Headers of one request.
pub const REQUEST_HEADERS: usize = 64;
/// The whole head, from the first byte (or from accepting) to its end.
pub const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection without a request.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// One response, until the client has read it.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Response bytes that clients have not read yet, in total; past it new requests get 503.
pub const SEND_BUDGET_BYTES: usize = 8 * 1024 * 1024;
/// Threads of tiny_http's worker pool; as many connections to it at most.
pub const POOL_WORKERS: usize = 4;
/// How long a page is reused for the same request: ages are shown in seconds, and nobody sees
/// a tenth.
pub const PAGE_CACHE_TTL: Duration = Duration::from_millis(100);
/// How many such pages are cached, and how large one may be: a page is 30 kB.
pub const PAGE_CACHE_ENTRIES: usize = 4;
pub const PAGE_CACHE_ENTRY_BYTES: usize = 64 * 1024;
/// One response of the pool, from the request to its last byte.
pub const POOL_TIMEOUT: Duration = Duration::from_secs(10);
/// One response of the pool; a page is 30 kB, an exported history a few hundred.
pub const POOL_RESPONSE_BYTES: usize = 4 * 1024 * 1024;
/// Event streams at once.
pub const EVENT_STREAMS: usize = 200;
/// How often event streams and outputs get a snapshot in which only times are new: a display that
/// shows the age of a value is never wrong by more.
pub const SNAPSHOT_TIMES_INTERVAL: Duration = Duration::from_secs(60);
/// Field names that a page of another origin may announce: browsers name those that its script
/// sets, a handful. What is past them is not allowed.
pub const PREFLIGHT_FIELDS: usize = 32;
/// One of them.
pub const PREFLIGHT_FIELD_BYTES: usize = 64;
/// A comment on a silent event stream.
pub const EVENT_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// How long `main-node pair` lets a display get its key again: time to walk to it and hold its button.
pub const PAIRING_TIME: Duration = Duration::from_secs(600);
/// Devices remembered that asked to be set up and that no `[[display]]` names; the oldest yields.
pub const REFUSED_DEVICES: usize = 16;
/// A display sends its log once after it has woken up; one per address in this time is taken.
pub const DEVICE_LOG_INTERVAL: Duration = Duration::from_secs(1);
/// Displays remembered, by address and agent; the one silent longest yields.
pub const TRACKED_DISPLAYS: usize = 64;
/// Incidents on the alerts page.
pub const INCIDENTS_SHOWN: usize = 100;
/// Points of one `/history` answer for each key.
pub const HISTORY_POINTS: usize = 2_000;
/// Keys of one `/history` answer: the lines of a chart that can still be told apart.
pub const HISTORY_KEYS: usize = 16;
/// Points of all its keys together, some 150 bytes each in JSON: 1.2 MB, of which four workers may
/// make one at once.
pub const HISTORY_TOTAL_POINTS: usize = 8_000;

/// Periods of one query: the days of a year and its weeks, or 33 years of months.
pub const PERIODS: usize = 400;
/// Hours that such a query reads, newest first: local days of 400 days. Days before them are those
/// of UTC.
pub const PERIOD_HOURS: i64 = 9_600;
/// The same where each period is longer than a day, so that hours of another day hardly matter: some
/// 2 ms on a PC.
pub const LONG_PERIOD_HOURS: i64 = 1_500;
/// Rows that such a query reads where a bound lies within an hour, newest first: some 4 ms on a
/// PC. Other such hours count as a whole.
pub const PERIOD_BOUND_ROWS: i64 = 30_000;
/// Rows that a query of states looks at, newest first, some 7 ms on a PC; hours in which a number
/// never changed need none.
pub const STATE_ROWS: i64 = 60_000;
/// As many of them count for a search of a part of an hour, which takes as long.
pub const STATE_SEARCH_ROWS: i64 = 250;
/// Runs of one value in an answer: more are narrower than a pixel.
pub const STATE_RUNS: usize = 1_000;

/// One step of `main-node healthcheck`: `/healthz` is answered from memory, and Docker gives
/// the whole command 30 s.
pub const HEALTHCHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// What it reads of the answer, which is a line.
pub const HEALTHCHECK_BYTES: u64 = 8 * 1024;

// ---- HTTP server ---------------------------------------------------------------------

/// Keys of one `/snapshot?keys=` that the server's thread answers itself, in 0.1 ms on a PC: a
/// small display asks for a handful. A head holds thousands; then a worker answers.
pub const SNAPSHOT_INLINE_KEYS: usize = 64;
/// Descriptors left to the rest of the node (database, fetches, pool) when connections are
/// capped below `ulimit -n`.
pub const RESERVED_DESCRIPTORS: usize = 64;
/// Connections waiting in the kernel to be accepted.
pub const LISTEN_BACKLOG: i32 = 511;
/// Connections accepted in a row before the others get their turn.
pub const ACCEPT_BATCH: usize = 16;
/// Pause after an accept that failed for want of descriptors or memory.
pub const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);
/// Pipelined requests of one connection answered in a row before the others get their turn.
pub const PIPELINE_BATCH: usize = 8;
/// Tasks that the HTTP server runs before it polls the sockets again: an event for all streams is a
/// task for each, and a display's poll does not wait for all of them.
pub const TASKS_PER_POLL: usize = 8;
/// Empty lines accepted before a request line; old clients send one after a body.
pub const LEADING_NEWLINES: usize = 8;
/// How long a connection must have been idle before it is evicted for a new one.
pub const EVICT_IDLE_AFTER: Duration = Duration::from_secs(1);
/// What a large answer gets beyond `WRITE_TIMEOUT`: weak Wi-Fi takes this much a second.
pub const MIN_WRITE_BYTES_PER_S: usize = 32 * 1024;
/// The kernel's buffer of unsent bytes of one connection (it doubles this); unasked it may
/// grow to 4 MB each, which no count of ours would see.
pub const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// Bytes sent but not acknowledged for this long: the client is gone, and the kernel says so.
pub const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long what a refused client still sends is read and dropped, so that its kernel does not
/// answer our last bytes with a reset before it has shown them.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// How much of it.
pub const LINGER_BYTES: usize = 256 * 1024;
/// Responses up to this size do not count towards the send budget: times `CONNECTIONS` they are 1 MiB,
/// and `/snapshot` and `/healthz` must live on while large answers are refused.
pub const SMALL_RESPONSE_BYTES: usize = 4 * 1024;
/// Large responses not yet read by one address: half of `SEND_BUDGET_BYTES`, so that one client
/// cannot use up everybody's.
pub const SEND_BUDGET_BYTES_PER_ADDRESS: usize = SEND_BUDGET_BYTES / 2;
/// HTTP deadlines are kept to this precision; a `Date` header is at most this old.
pub const HTTP_TICK: Duration = Duration::from_millis(250);
/// How often the HTTP server shows that it runs while no deadline is due: well below
/// [`HEARTBEAT_TIMEOUT`].
pub const HTTP_HEARTBEAT: Duration = Duration::from_secs(10);
/// One ping of a new connection to the pool; longer means that its accept loop has ended.
pub const POOL_PING_TIMEOUT: Duration = Duration::from_secs(2);
/// Alert events stored for streams that are busy with an earlier one.
pub const EVENT_LOG_ALERTS: usize = 16;
/// How long an event stream's client waits before it reconnects.
pub const EVENT_RECONNECT_DELAY: Duration = Duration::from_secs(5);
/// Different pairs of route and status counted; two dozen routes have a handful each.
pub const ROUTE_COUNTERS: usize = 192;
/// Socket directories of dead runs that one start removes.
pub const STALE_SOCKET_DIRECTORIES: usize = 64;
/// Bytes of a Unix socket's path, by the kernel's `sun_path` with its closing zero.
pub const SOCKET_PATH_BYTES: usize = 107;
/// Bytes that gzip must save before it is used: its own two header fields cost 47.
pub const MIN_GZIP_SAVING_BYTES: usize = 64;
/// Segments of a request's path and parameters of its query: `/history` takes [`HISTORY_KEYS`] and four
/// others, no other route has more than 6.
pub const TARGET_PARTS: usize = 24;
/// What a display that has nothing yet is told to wait before it asks again.
pub const RETRY_WITHOUT_DATA: Duration = Duration::from_secs(5);
/// Characters kept of what a display says about itself and of what it asked.
pub const DISPLAY_CHARS: usize = 64;
/// Attempts remembered of each source, for its page: a day of half hours.
pub const RECENT_FETCHES: usize = 48;
/// Values shown on the overview; the rest is on the sources' pages. 120 tiles are about
/// 20 kB compressed.
pub const TILES: usize = 120;
/// A group of more values than this is cut, where the configuration makes no groups.
pub const GROUP_UNFOLDED: usize = 12;
/// Values of such a group that stand open.
pub const GROUP_OPEN: usize = 6;
/// Values that the overview holds folded, of all groups: a line each.
pub const FOLDED_VALUES: usize = 200;
/// Characters of a text that fit a tile, in two lines.
pub const TILE_TEXT_CHARS: usize = 24;
/// Sentences of the state that stand open on the overview; more are folded.
pub const STATE_SENTENCES: usize = 4;
/// Names that an error page offers for a wrong one, where all there are are offered.
pub const NAMES_SUGGESTED: usize = 12;
/// Names that an error page offers because they are similar to a wrong one.
pub const SIMILAR_SUGGESTED: usize = 5;
/// Cells of a wall page: more cannot be read from afar.
pub const WALL_CELLS: usize = 24;
/// Cells of a wall page that nobody configured: of the first group, and of single values.
pub const WALL_DEFAULT_CELLS: usize = 12;
pub const WALL_FIRST_VALUES: usize = 9;
/// `[[display]]` tables.
pub const DISPLAYS: usize = 16;
/// Width and height of a display's picture, in pixels: from a badge to the largest e-reader.
pub const PICTURE_SIDE: RangeInclusive<u16> = 64..=2_600;
/// Pixels of a picture: 2,480 × 1,860 is the largest in use.
pub const PICTURE_PIXELS: u32 = 5_000_000;
/// Cells of a picture, and rows of its table.
pub const PICTURE_CELLS: usize = 24;
/// Open alerts that a picture tells.
pub const PICTURE_NOTES: usize = 3;
/// A larger file of a picture is drawn for each request instead of being kept.
pub const PICTURE_KEPT_BYTES: usize = 4 << 20;
/// The end of a picture's chart moves at least so often, however long its span is.
pub const PICTURE_CHART_STEP: Duration = Duration::from_secs(3600);
/// How often a display asks for its picture.
pub const DISPLAY_INTERVALS: RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(24 * 3600);
pub const DISPLAY_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// Time span of a picture's chart.
pub const DISPLAY_CHART_SPAN: RangeInclusive<Duration> =
    Duration::from_secs(3600)..=Duration::from_secs(366 * 24 * 3600);
pub const DISPLAY_CHART_DEFAULT_SPAN: Duration = Duration::from_secs(24 * 3600);
/// Rows of the table beside a chart.
pub const CHART_ROWS: usize = 24;
/// Buckets of a chart: one for each pixel of a small screen. With less than 289 a day had buckets
/// of ten minutes where there are those of five, with less than 241 a month buckets of six hours.
pub const CHART_POINTS: usize = 300;
/// The same for each line of several, so that six of them are a page of 8 kB.
pub const CHART_POINTS_OF_SEVERAL: usize = 150;
/// Lines of one chart: colours and dashes that are told apart.
pub const CHART_LINES: usize = 6;
/// Values that the page of charts offers as links, 100 bytes each.
pub const CHART_CHOICES: usize = 300;
/// The least that a chart shows: an observation a second gives a line.
pub const MIN_CHART_SPAN: Duration = Duration::from_secs(60);
/// Years of days that are kept in memory, of 12 kB each: those of the keys that are looked at.
pub const YEARS: usize = 8;
/// How long a year is kept before it is read again: reading one takes thousands of hours, and only
/// its newest day changes.
pub const YEAR_TTL: Duration = Duration::from_secs(900);
/// Days of a counter that one chart sums up: eleven years.
pub const COUNTER_DAYS: usize = 4_000;
/// Days before a chart of a counter that say whether it begins again every day, and what it was.
pub const COUNTER_DAYS_BEFORE: usize = 14;
/// Segments of a strip of states: more are narrower than a pixel of a small screen.
pub const STRIP_SEGMENTS: usize = 240;
/// Rows of the table of states.
pub const STATE_CHANGES: usize = 50;
/// When a state that no source gives any more is taken as unknown.
pub const STATE_GAP: Duration = Duration::from_secs(3_600);
/// Buckets of a tile's sparkline.
pub const SPARKLINE_POINTS: usize = 48;
/// How long a sparkline is kept before its history is read again: it is 24 h wide and a
/// pixel or two an hour.
pub const SPARKLINE_TTL: Duration = Duration::from_secs(120);
/// Characters of an operation's description that a source's page shows: some files hold a
/// whole manual there, and a page stays light.
pub const DESCRIPTION_CHARS: usize = 2_000;
/// Of those, so many stand open; a longer one is folded, so that the facts stay in sight.
pub const DESCRIPTION_OPEN_CHARS: usize = 300;
/// Extra time at shutdown for threads that only have to notice the stop token.
pub const SHUTDOWN_GRACE: Duration = Duration::from_millis(100);

// ---- Alerts --------------------------------------------------------------------------

/// Events that wait on one channel: with reminders that widen and flapping told once, weeks
/// of outage. Past it the oldest never tried are dropped, counted, and told so.
pub const OUTBOX_ROWS: usize = 500;
/// Events in one message; the rest follows in the next.
pub const EVENTS_PER_MESSAGE: usize = 50;
/// Incidents kept for the page, the oldest closed ones given up first.
pub const INCIDENTS: usize = 1_000;
/// Deliveries kept for the page, the oldest given up first: four for each incident.
pub const DELIVERIES: usize = 4 * INCIDENTS;
/// How long the first event waits for others, so that one cause makes one mail.
pub const BATCH_DELAY: Duration = Duration::from_secs(10);
/// The shortest and longest pause between attempts to deliver.
pub const DELIVERY_BACK_OFF: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(3600));
/// The shortest and longest pause of an output between attempts to reach its receiver.
pub const OUTPUT_BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How long an output may send its last state when the node stops.
pub const OUTPUT_STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an output with nothing to do sleeps; a snapshot or a commit wakes it.
pub const OUTPUT_IDLE: Duration = Duration::from_secs(3_600);
/// An output that fails for longer is a problem of the node: receivers restart.
pub const OUTPUT_FAILURE_SHOWN_AFTER: Duration = Duration::from_secs(60);
/// The shortest wait that a server's `Retry-After` can ask for.
pub const MIN_RETRY_AFTER: Duration = Duration::from_secs(1);
/// How often a refused alert is retried, unless the configuration has changed.
pub const REFUSED_RETRY_INTERVAL: Duration = Duration::from_secs(86_400);
/// Daily retries that may be refused before an alert is given up: counted, so that no clock
/// that jumps can end them.
pub const REFUSED_RETRIES: u32 = 14;
/// How often the outbox is searched for alerts of channels that are no longer configured.
pub const REMOVED_CHANNELS_CHECK: Duration = Duration::from_secs(3_600);
/// How soon a request to retry refused alerts is noticed.
pub const REFUSED_RETRY_POLL: Duration = Duration::from_secs(30);
/// One step of an SMTP dialogue; servers that delay their greeting on purpose take 10 s.
pub const SMTP_STEP_TIMEOUT: Duration = Duration::from_secs(30);
/// The text of a message, until the server has taken it; scanning for spam takes a while.
pub const SMTP_DATA_TIMEOUT: Duration = Duration::from_secs(120);
/// A login with OAuth is checked daily: refresh tokens end when they rest for months.
pub const LOGIN_CHECK_INTERVAL: Duration = Duration::from_secs(86_400);
/// After a failure, and for the first one after the start; long enough for a network to be back.
pub const LOGIN_CHECK_RETRY: Duration = Duration::from_secs(600);
/// An access token for a mail: the session begins when it is there.
pub const MAIL_TOKEN_TIMEOUT: Duration = Duration::from_secs(30);
/// A command line of SMTP (RFC 5321 4.5.3.1.4).
pub const SMTP_COMMAND_BYTES: usize = 512;
/// Characters of a server's reply that are shown.
pub const REPLY_CHARS: usize = 200;
/// Bytes of the body of a response that are read, where it only says how a request went: some
/// services say it in JSON, among other things.
pub const REPLY_BYTES: u64 = 4096;
/// One call of a webhook or a ping.
pub const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(15);
/// Webhooks of a node: each has a thread and a queue of its own.
pub const WEBHOOKS: usize = 16;
/// What the services of webhooks take, by their documentation: longer texts are cut. ntfy makes an
/// attachment of a longer message.
pub const NTFY_MESSAGE_BYTES: usize = 4_096;
pub const DISCORD_CONTENT_CHARS: usize = 2_000;
pub const TELEGRAM_TEXT_UNITS: usize = 4_096;
pub const PUSHOVER_MESSAGE_CHARS: usize = 1_024;
pub const PUSHOVER_TITLE_CHARS: usize = 250;
pub const PUSHOVER_URL_CHARS: usize = 512;
/// Slack recommends it, and cuts at ten times as many.
pub const SLACK_TEXT_CHARS: usize = 4_000;
/// Of a service without a limit of its own: more than any screen shows.
pub const CHAT_MESSAGE_CHARS: usize = 16_000;
/// The text of a message in a URL or a header: servers take 8 kB of either, and a byte may be encoded
/// as three.
pub const URL_TEXT_BYTES: usize = 2_000;
/// Tags of a webhook, and bytes of each: they are sent in one header.
pub const WEBHOOK_TAGS: usize = 16;
pub const WEBHOOK_TAG_BYTES: usize = 64;
/// The name of an alert channel: in file names, metrics and headings.
pub const CHANNEL_NAME_BYTES: usize = 32;
/// How often the heartbeat URL (dead man's switch) is pinged.
pub const PING_INTERVAL: Duration = Duration::from_secs(60);
/// How often a node that has just started looks whether it is well enough for its first heartbeat.
pub const PING_START_POLL: Duration = Duration::from_secs(5);
/// How long the node must not be well before the heartbeat says so: it may only start, or a router
/// may.
pub const PING_FAIL_AFTER: Duration = Duration::from_secs(120);

// ---- Outputs -------------------------------------------------------------------------

/// Receivers of `[[push]]`: each has a thread.
pub const PUSHES: usize = 16;
/// The shortest time between two requests to a display about the same, unless it is configured.
pub const PUSH_INTERVAL: Duration = Duration::from_secs(1);
/// When a message that the display refused is sent again unchanged.
pub const PUSH_REFUSED_RETRY: Duration = Duration::from_secs(600);
/// How long a display keeps what it was sent: at least a few of its rounds, at most a day, since
/// after a restart it waits for half of it.
pub const MIN_PUSH_LIFETIME: Duration = Duration::from_secs(10);
pub const MAX_PUSH_LIFETIME: Duration = Duration::from_secs(86_400);
pub const AWTRIX_LIFETIME: Duration = Duration::from_secs(300);
/// Keys that a receiver is sent one by one: one request each.
pub const PUSH_KEYS: usize = 200;
/// Apps on an AWTRIX display: it has room for 20, and a round of them takes more than two minutes.
pub const AWTRIX_APPS: usize = 20;
/// Bytes of the name of an icon on an AWTRIX display: a file name.
pub const ICON_BYTES: usize = 32;
/// When what an earlier run left on a display is removed: by then every source has answered.
pub const PUSH_CLEAR_AFTER: Duration = Duration::from_secs(60);

// ---- MQTT ----------------------------------------------------------------------------

/// Bytes of a client identifier: what brokers accept that allow more than the 23 of MQTT 3.1.1.
pub const MQTT_CLIENT_ID_BYTES: usize = 128;
/// Bytes of what topics begin with: with a key of which every byte is escaped, and what is behind it,
/// a topic stays far below the 65,535 bytes that MQTT allows.
pub const MQTT_PREFIX_BYTES: usize = 256;
/// The longest silence of a connection: a broker publishes the last will after one and a half of it.
pub const MQTT_KEEP_ALIVE: Duration = Duration::from_secs(30);
/// From the TCP connection to the broker's answer, with the TLS handshake: a small broker on a
/// small machine takes seconds for it.
pub const MQTT_CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// An acknowledgement that takes longer never comes: the connection is made anew.
pub const MQTT_ACK_TIMEOUT: Duration = Duration::from_secs(20);
/// Messages that are sent and not acknowledged yet: the values of a house go out together. A broker may
/// say less (MQTT 5).
pub const MQTT_IN_FLIGHT: usize = 200;
/// Bytes that wait for the socket before no further message is added.
pub const MQTT_QUEUED_BYTES: usize = 64 * 1024;
/// How long acknowledgements are left to gather: each read costs as much as reading all of them.
pub const MQTT_ACK_PAUSE: Duration = Duration::from_millis(50);
/// Bytes of a packet from a broker that is kept: a discovery document and its topic. A whole snapshot
/// may be larger, of which nobody needs the contents.
pub const MQTT_PACKET_BYTES: usize = DISCOVERY_DOCUMENT_BYTES + 64 * 1024;
/// Bytes that are read at a time, and of a buffer that stays.
pub const MQTT_BUFFER_BYTES: usize = 4 * 1024;
/// Topics at the broker: two for each record that a configuration may ask for, as many for keys that
/// are gone, and those that announce them. Each takes about 120 bytes.
pub const MQTT_TOPICS: usize = 4 * MAX_CONFIGURED_RECORDS;
/// Keys of an earlier run that are remembered until all sources have answered.
pub const MQTT_EARLIER_KEYS: usize = 2 * MAX_CONFIGURED_RECORDS;
/// Retained messages have all come when none came for so long.
pub const MQTT_COLLECT_PAUSE: Duration = Duration::from_secs(1);
/// The longest wait for retained messages.
pub const MQTT_COLLECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that lasts less is one more failure for the pause before the next.
pub const MQTT_SHORT_CONNECTION: Duration = Duration::from_secs(60);
/// A message of this size is sent alone: brokers of services take as little as 128 kB, small ones less.
pub const MQTT_LARGE_BYTES: usize = 16 * 1024;
/// Connections in a row that end at the same large message before it is left out.
pub const MQTT_LARGE_TRIES: u32 = 3;

// ---- Forwarding -----------------------------------------------------------------------

/// How often the cursor of an output is saved, with a commit that is made anyway: a crash repeats
/// the rows since then, and that is harmless.
pub const FORWARD_CURSOR_INTERVAL: Duration = Duration::from_secs(600);
/// Rows after which it is saved sooner, so that crashes do not begin a long backlog again.
pub const FORWARD_CURSOR_ROWS: i64 = 20_000;
/// Rows that one step of a forwarding output looks at: 20 ms on a Pi Zero.
pub const FORWARD_STEP_ROWS: i64 = 2_000;
/// Tables `[[forward]]`: each is a thread.
pub const FORWARDS: usize = 8;
/// Tags of all rows of an output, beside its own: each makes every line longer.
pub const FORWARD_TAGS: usize = 16;
/// Rows of one write request, and its bytes: two such texts are all that a backlog takes in memory.
pub const FORWARD_BATCH_ROWS: usize = 2_000;
pub const FORWARD_BATCH_BYTES: usize = 256 << 10;
/// How much longer than the work on a batch the pause behind it is, while there is a backlog.
pub const FORWARD_PAUSE_FACTOR: u32 = 2;
/// The longest wait that a server can ask for.
pub const FORWARD_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// What was acknowledged longer before an outage is not sent again. VictoriaMetrics has it in memory
/// for 5 s, or what `-inmemoryDataFlushInterval` says.
pub const FORWARD_SETTLED_AFTER: Duration = Duration::from_secs(15);
/// Rows that are sent again after each outage, however soon it follows another.
pub const FORWARD_REPEATED_ROWS: i64 = 10_000;
/// Lines in a row that a server refuses before it is taken for one that takes none.
pub const FORWARD_REFUSED_LINES: usize = 50;
/// Lines behind those that it is asked about first.
pub const FORWARD_PROBES: usize = 16;

// ---- Home Assistant ------------------------------------------------------------------

/// Entities that are announced: Home Assistant slows down with many thousands, and a dump of a
/// large API may have as many leaves.
pub const DISCOVERY_ENTITIES: usize = 2_000;
/// Bytes of one discovery document; brokers take messages of 2 MB unless they are told otherwise.
pub const DISCOVERY_DOCUMENT_BYTES: usize = 1_000_000;
/// Between two discovery documents: Home Assistant drops a part of one that comes while it still
/// works on the one before.
pub const DISCOVERY_INTERVAL: Duration = Duration::from_secs(10);
/// How often a key is announced in another way, and how long it must be absent before it is
/// taken back: Home Assistant forgets the name and the area of what is.
pub const DISCOVERY_CHANGE_INTERVAL: Duration = Duration::from_secs(3_600);
/// How long what an earlier run announced is waited for, once all sources have answered.
pub const DISCOVERY_LEFTOVER_WAIT: Duration = Duration::from_secs(60);
/// Nodes and devices announce themselves within this time when Home Assistant starts, not at once.
pub const DISCOVERY_REPEAT_SPREAD: Duration = Duration::from_secs(5);

// ---- Pictures ------------------------------------------------------------------------

/// Pixels of a picture that are in memory at once, at a byte each: 12 to 320 rows. With the compressor and a
/// large letter it is 1 MB, on any panel.
pub const PICTURE_BAND_BYTES: usize = 256 * 1024;
