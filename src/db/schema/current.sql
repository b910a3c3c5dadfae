-- The whole schema of the current version, to read; a test holds that it is what the
-- migrations (migrations/*.sql) make of an empty file. Times in INTEGER columns are UTC and
-- count from 1970-01-01T00:00:00Z: `second`, `hour` (= second / 3600) and `day`
-- (= second / 86400), rounded down.

-- READINGS

-- One row per observation of a key, in the order of arrival. Corrections are rows too: of
-- several with the same (key, timestamp) the highest id holds. There is no index on
-- purpose: one on (key, timestamp) makes a fetch of 50 readings cost 572 KB of card
-- instead of a few. `hourly` says which ids an hour's rows have.
CREATE TABLE records (
    id INTEGER PRIMARY KEY,    -- grows with arrival, never used again
    timestamp TEXT NOT NULL,   -- when it was observed: RFC 3339 UTC, seconds, 'Z'
    key TEXT NOT NULL,         -- what was observed
    value REAL,                -- in the unit of `keys`; NULL for a text
    meta JSON                  -- NULL, or an object: "text" is the text; "clock": "untrusted";
                               --   "stated": true where `missing` or `null` gave the value
);

-- Every key that was ever stored.
CREATE TABLE keys (
    k INTEGER PRIMARY KEY,     -- the key's id: stands for the key in the other tables
    key TEXT NOT NULL UNIQUE,  -- as in `records`
    unit TEXT,                 -- unit of its values now, as the source or configuration says
    source TEXT NOT NULL,      -- name of the source that gave the newest row
    boolean INTEGER NOT NULL DEFAULT 0 -- 1 if the newest response has a boolean there, else 0
) STRICT;

-- The newest row of each key, complete, so that a start reads a handful of pages.
CREATE TABLE latest (
    k INTEGER PRIMARY KEY,     -- keys.k
    id INTEGER NOT NULL,       -- records.id, which retention may have deleted since
    second INTEGER NOT NULL,   -- when it was observed, seconds since 1970
    value REAL,                -- as in `records`
    text TEXT,                 -- the text, where the reading is one
    own_time INTEGER NOT NULL, -- 1 if `second` is the source's own time, else 0
    untrusted INTEGER NOT NULL,-- 1 if the clock could not be trusted, else 0
    receipt_ms INTEGER,        -- when it was received: milliseconds since the boot that
                               -- node.boot names; NULL if in an earlier boot
    lag_ms INTEGER             -- how old it was then, milliseconds; NULL where unknown
) STRICT;

-- What sources say ahead of time, at most 2,000 rows a key: the elements of a series whose time
-- has not come, and of a record that is `now` the one that holds. When its time has come, an
-- element is a row of `records` too.
CREATE TABLE forecast (
    key TEXT NOT NULL,         -- as in `records`
    time TEXT NOT NULL,        -- from when on it holds: RFC 3339 UTC, seconds, 'Z'
    until TEXT,                -- until when, exclusively; NULL if nothing says it
    value REAL,                -- as in `records`
    meta TEXT,                 -- NULL, or JSON {"text": the text} and/or {"stated": true}
    PRIMARY KEY (key, time)
) STRICT, WITHOUT ROWID;

-- ROLLUPS

-- Each key's hours. Time-major, so that a commit touches the end of the table alone. The
-- numbers are over the rows that hold (corrections count once); NULL where all are texts.
CREATE TABLE hourly (
    hour INTEGER NOT NULL,     -- hours since 1970
    k INTEGER NOT NULL,        -- keys.k
    count INTEGER NOT NULL,    -- numbers observed
    min REAL,                  -- the least of them, in the key's unit
    mean REAL,                 -- their mean, in the key's unit
    max REAL,                  -- the greatest, in the key's unit
    last REAL,                 -- the last observed, in the key's unit
    last_s INTEGER,            -- when that was, seconds into the hour
    first_id INTEGER NOT NULL, -- all rows of this key and hour, texts and what was corrected
    last_id INTEGER NOT NULL,  --   included, have ids from first_id to last_id
    PRIMARY KEY (hour, k)
) STRICT, WITHOUT ROWID;

-- Each key's hours in twelve parts of five minutes, for hours before node.fives_until whose
-- rows are many (last_id - first_id in hourly). Parts without a number are left out.
CREATE TABLE fives (
    hour INTEGER NOT NULL,     -- hours since 1970
    k INTEGER NOT NULL,        -- keys.k
    five INTEGER NOT NULL,     -- 0 to 11: minutes into the hour, divided by five
    count INTEGER NOT NULL,    -- numbers observed, at least 1
    min REAL NOT NULL,         -- the least of them, in the key's unit
    mean REAL NOT NULL,        -- their mean, in the key's unit
    max REAL NOT NULL,         -- the greatest, in the key's unit
    last REAL NOT NULL,        -- the last observed, in the key's unit
    last_s INTEGER NOT NULL,   -- when that was, seconds into the hour
    PRIMARY KEY (hour, k, five)
) STRICT, WITHOUT ROWID;

-- Each key's days, summed up from `hourly` when the day is over (node.daily_until).
CREATE TABLE daily (
    day INTEGER NOT NULL,      -- days since 1970
    k INTEGER NOT NULL,        -- keys.k
    count INTEGER NOT NULL,    -- numbers observed, at least 1
    min REAL NOT NULL,         -- the least of them, in the key's unit
    mean REAL NOT NULL,        -- their mean, in the key's unit
    max REAL NOT NULL,         -- the greatest, in the key's unit
    last REAL NOT NULL,        -- the last observed, in the key's unit
    PRIMARY KEY (day, k)
) STRICT, WITHOUT ROWID;

-- DERIVED KEYS

-- State of the windows of derived keys, so that a start need not read the rows of a year. It is
-- saved rarely; what came since is in `records`.
CREATE TABLE derived_windows (
    name TEXT PRIMARY KEY,       -- NAME of [derived.NAME]
    rule TEXT NOT NULL,          -- what it is the state for (domain::derived::WindowRule)
    through_id INTEGER NOT NULL, -- records.id: rows up to it are part of it
    state BLOB NOT NULL          -- domain::derived::Window
) STRICT;

-- METADATA

-- What the node must remember about the database itself.
CREATE TABLE node (
    name TEXT PRIMARY KEY,     -- boot: the boot to which latest.receipt_ms belongs
                               -- raw_from: hour from which on rows are kept
                               -- rows_from: hour before which `records` holds nothing more;
                               --   from there to raw_from rows are being deleted
                               -- fives_until: hour from which on `fives` holds nothing yet
                               -- hourly_from: hour before which `hourly` holds nothing more
                               -- daily_until: day from which on `daily` holds nothing yet
                               -- last_id: no id up to this one is given again
                               -- retention_clock: domain::retention_clock, as text
                               -- quota:NAME: until when the quota of the source NAME is
                               --   spent (quota.rs has the format)
                               -- forward:NAME: the last row that the output NAME need not
                               --   forward again, records.id as text
                               -- absences: for how long keys have been absent from good
                               --   responses, JSON (domain::ledger::SavedAbsences)
                               -- salvage: damaged files that are being recovered, a path a line
    value ANY
) STRICT, WITHOUT ROWID;

-- ALERTS

-- What the alerts' state machine remembers.
CREATE TABLE alert_state (
    id INTEGER PRIMARY KEY CHECK (id = 1), -- there is one
    state TEXT NOT NULL        -- JSON, read and written whole (domain::alert::AlertState)
) STRICT;

-- Every incident that was reported, the newest 1,000.
CREATE TABLE incidents (
    incident INTEGER PRIMARY KEY, -- counts from 1
    alert TEXT NOT NULL,       -- source:weather, network, …
    since INTEGER NOT NULL,    -- when it began, seconds since 1970
    sure INTEGER NOT NULL,     -- 1 if the clock could be trusted then, else 0
    ended INTEGER,             -- when it was over, seconds since 1970; NULL while it is not
    flaps INTEGER NOT NULL,    -- 1 if it was flapping, else 0
    words TEXT NOT NULL,       -- what it was, in a sentence for people
    thread TEXT                -- Message-ID of the mail that reported its beginning; NULL
                               -- until one was tried
) STRICT;

-- Alert events that are not delivered yet. AUTOINCREMENT, because those who deliver speak of
-- an id after its row may be gone.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order in which they happened
    channel TEXT NOT NULL,     -- mail or webhook
    incident INTEGER NOT NULL, -- incidents.incident
    event TEXT NOT NULL,       -- JSON, all that the message says (domain::alert::AlertEvent)
    message_id TEXT,           -- the message that it belongs to for good, from just before
                               -- its first byte could reach somebody; NULL if never tried
    settled TEXT NOT NULL DEFAULT '[]', -- JSON list of recipients that have it or never will
    refused TEXT               -- why the other side refused it, JSON
                               -- (domain::outbox::DeliveryRefusal); NULL while it has not. A
                               -- refused event has no message_id
) STRICT;

-- Events that were dropped because too many waited.
CREATE TABLE outbox_dropped (
    channel TEXT PRIMARY KEY,  -- as in outbox
    count INTEGER NOT NULL,    -- how many of them no message has reported yet
    undelivered INTEGER NOT NULL DEFAULT 0 -- how many events were never delivered since the
                               -- database was made
) STRICT, WITHOUT ROWID;

-- How people were told of incidents, or not: the newest 4,000.
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,    -- in the order in which they ended
    incident INTEGER NOT NULL, -- incidents.incident
    channel TEXT NOT NULL,     -- mail or webhook
    kind TEXT NOT NULL,        -- trigger, reminder, recovery, flapping or unwatched
    ended INTEGER NOT NULL,    -- when it was accepted or refused, seconds since 1970
    attempts INTEGER NOT NULL, -- how many it took, since the node's last start
    refused TEXT,              -- who never gets it, and why; NULL if everybody has it
    given_up INTEGER NOT NULL DEFAULT 0 -- 1 if it was given up and not delivered, else 0
) STRICT;
CREATE INDEX deliveries_incident ON deliveries (incident);
