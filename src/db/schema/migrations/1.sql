-- main-node's database, version 1. Times in INTEGER columns are UTC and count from
-- 1970-01-01T00:00:00Z: `second`, `hour` (= second / 3600) and `day` (= second / 86400),
-- rounded down. Migrations to later versions stand beside this file; current.sql has the whole.

-- One row per observation of a key, in the order of arrival. Corrections are rows too: of
-- several with the same (key, timestamp) the highest id holds. There is no index on
-- purpose: one on (key, timestamp) makes a fetch of 50 readings cost 572 KB of card
-- instead of a few. `hourly` says which ids an hour's rows have.
CREATE TABLE records (
    id INTEGER PRIMARY KEY,    -- grows with arrival, never used again
    timestamp TEXT NOT NULL,   -- when it was observed: RFC 3339 UTC, seconds, 'Z'
    key TEXT NOT NULL,         -- what was observed
    value REAL,                -- in the unit of `keys`; NULL for a text
    meta JSON                  -- NULL, or {"text": the text} and/or {"clock": "untrusted"}
);

-- Every key that was ever stored.
CREATE TABLE keys (
    k INTEGER PRIMARY KEY,     -- stands for the key in the other tables
    key TEXT NOT NULL UNIQUE,  -- as in `records`
    unit TEXT,                 -- unit of its values now, as the source or configuration says
    source TEXT NOT NULL       -- name of the source that gave the newest row
) STRICT;

-- The newest row of each key, complete, so that a start reads a handful of pages.
CREATE TABLE latest (
    k INTEGER PRIMARY KEY,     -- keys.k
    id INTEGER NOT NULL,       -- records.id, which retention may have dropped since
    second INTEGER NOT NULL,   -- when it was observed, seconds since 1970
    value REAL,                -- as in `records`
    text TEXT,                 -- the text, where the reading is one
    own_time INTEGER NOT NULL, -- 1 if `second` is the source's own word, else 0
    untrusted INTEGER NOT NULL,-- 1 if the clock could not be believed, else 0
    receipt_ms INTEGER,        -- when it was received: milliseconds since the boot that
                               -- node.boot names; NULL if in an earlier boot
    lag_ms INTEGER             -- how old it was then, milliseconds; NULL where unknown
) STRICT;

-- Each key's hours. Time-major, so that a commit touches the end of the table alone. The
-- numbers are over the rows that hold (corrections count once); NULL where all are texts.
CREATE TABLE hourly (
    hour INTEGER NOT NULL,     -- hours since 1970
    k INTEGER NOT NULL,        -- keys.k
    count INTEGER NOT NULL,    -- numbers observed
    min REAL,                  -- the least of them, in the key's unit
    mean REAL,                 -- their mean
    max REAL,                  -- the greatest
    last REAL,                 -- the last observed
    last_s INTEGER,            -- when that was, seconds into the hour
    first_id INTEGER NOT NULL, -- all rows of this key and hour, texts and what was corrected
    last_id INTEGER NOT NULL,  --   included, have ids from first_id to last_id
    PRIMARY KEY (hour, k)
) STRICT, WITHOUT ROWID;

-- Each key's days, summed up from `hourly` when the day is over (node.daily_until).
CREATE TABLE daily (
    day INTEGER NOT NULL,      -- days since 1970
    k INTEGER NOT NULL,        -- keys.k
    count INTEGER NOT NULL,    -- numbers observed, at least 1
    min REAL NOT NULL,         -- the least of them, in the key's unit
    mean REAL NOT NULL,        -- their mean
    max REAL NOT NULL,         -- the greatest
    last REAL NOT NULL,        -- the last observed
    PRIMARY KEY (day, k)
) STRICT, WITHOUT ROWID;

-- What the node must remember about the database itself, and as quota:NAME until when the
-- quota of the source NAME is spent (quota.rs says how that is spelled).
CREATE TABLE node (
    name TEXT PRIMARY KEY,     -- boot: the boot to which latest.receipt_ms belongs
                               -- raw_from: hour before which `records` holds nothing more
                               -- hourly_from: hour before which `hourly` holds nothing more
                               -- daily_until: day from which on `daily` holds nothing yet
    value ANY
) STRICT, WITHOUT ROWID;
