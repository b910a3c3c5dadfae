-- node.value since this version: raw_from is the hour from which on rows are kept, rows_from
-- the hour before which `records` holds nothing more (between them rows are on their way
-- out), fives_until the hour from which on `fives` holds nothing yet.

-- Each key's hours in twelve parts of five minutes, for hours before node.fives_until whose
-- rows are many (last_id - first_id in hourly). Parts without a number are left out.
CREATE TABLE fives (
    hour INTEGER NOT NULL,     -- as in hourly, whose key this is
    k INTEGER NOT NULL,
    five INTEGER NOT NULL,     -- 0 to 11: minutes into the hour, divided by five
    count INTEGER NOT NULL,    -- numbers observed, at least 1; the rest as in hourly
    min REAL NOT NULL,
    mean REAL NOT NULL,
    max REAL NOT NULL,
    last REAL NOT NULL,
    last_s INTEGER NOT NULL,
    PRIMARY KEY (hour, k, five)
) STRICT, WITHOUT ROWID;
