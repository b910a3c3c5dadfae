-- What the alerts' state machine remembers.
CREATE TABLE alert_state (
    id INTEGER PRIMARY KEY CHECK (id = 1), -- there is one
    state TEXT NOT NULL        -- JSON, read and written whole (domain::alert::State)
) STRICT;

-- Every incident that people were told of, the newest 1,000.
CREATE TABLE incidents (
    incident INTEGER PRIMARY KEY, -- counts from 1
    alert TEXT NOT NULL,       -- source:weather, network, …
    since INTEGER NOT NULL,    -- when it began, seconds since 1970
    sure INTEGER NOT NULL,     -- 1 if the clock could be believed then, else 0
    ended INTEGER,             -- when it was over, seconds since 1970; NULL while it is not
    flaps INTEGER NOT NULL,    -- 1 if it came and went several times, else 0
    words TEXT NOT NULL,       -- what it was, in a sentence for people
    thread TEXT                -- Message-ID of the mail that told its beginning; NULL until
                               -- one was tried
) STRICT;

-- Events that somebody has not been told yet. AUTOINCREMENT, because those who deliver
-- speak of an id after its row may be gone.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order in which they happened
    channel TEXT NOT NULL,     -- mail or webhook
    incident INTEGER NOT NULL, -- incidents.incident
    event TEXT NOT NULL,       -- JSON, all that the message says (domain::alert::Event)
    message_id TEXT,           -- the message that it belongs to for good, from just before
                               -- its first byte could reach somebody; NULL if never tried
    settled TEXT NOT NULL DEFAULT '[]' -- JSON list of recipients that have it or never will
) STRICT;

-- Events given up because too many waited, not yet told.
CREATE TABLE outbox_dropped (
    channel TEXT PRIMARY KEY,  -- as in outbox
    count INTEGER NOT NULL     -- how many
) STRICT, WITHOUT ROWID;
