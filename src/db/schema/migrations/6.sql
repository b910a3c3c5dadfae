-- What sources say ahead of time: elements whose time has not come, and the one that is now.
CREATE TABLE forecast (
    key TEXT NOT NULL,         -- as in `records`
    time TEXT NOT NULL,        -- from when on it holds: RFC 3339 UTC, seconds, 'Z'
    until TEXT,                -- until when, exclusively; NULL if nothing says it
    value REAL,                -- as in `records`
    meta TEXT,                 -- NULL, or JSON {"text": the text} and/or {"stated": true}
    PRIMARY KEY (key, time)
) STRICT, WITHOUT ROWID;
