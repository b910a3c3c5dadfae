-- State of the windows of derived keys, so that a start need not read the rows of a year. It is
-- saved rarely; what came since is in `records`.
CREATE TABLE derived_windows (
    name TEXT PRIMARY KEY,       -- NAME of [derived.NAME]
    rule TEXT NOT NULL,          -- what it is the state for (domain::derived::WindowRule)
    through_id INTEGER NOT NULL, -- records.id: rows up to it are part of it
    state BLOB NOT NULL          -- domain::derived::Window
) STRICT;
