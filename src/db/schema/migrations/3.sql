-- How people were told of incidents, or not: the newest 4,000.
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,    -- in the order in which they ended
    incident INTEGER NOT NULL, -- incidents.incident
    channel TEXT NOT NULL,     -- mail or webhook
    kind TEXT NOT NULL,        -- trigger, reminder, recovery, flapping or unwatched
    ended INTEGER NOT NULL,    -- when it was taken or refused, seconds since 1970
    attempts INTEGER NOT NULL, -- how many it took, since the node's last start
    refused TEXT               -- who never gets it, and why; NULL if everybody has it
) STRICT;
CREATE INDEX deliveries_incident ON deliveries (incident);
