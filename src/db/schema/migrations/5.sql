-- Why the other side refused it, JSON (domain::outbox::Refusal); NULL while it has not. A
-- refused event has no message_id: nobody but those settled has it.
ALTER TABLE outbox ADD COLUMN refused TEXT;
-- How many events were never delivered since the database was made.
ALTER TABLE outbox_dropped ADD COLUMN undelivered INTEGER NOT NULL DEFAULT 0;
-- 1 if it was given up and not delivered, else 0.
ALTER TABLE deliveries ADD COLUMN given_up INTEGER NOT NULL DEFAULT 0;
