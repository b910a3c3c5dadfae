-- 1 if the newest response has a boolean there, else 0.
ALTER TABLE keys ADD COLUMN boolean INTEGER NOT NULL DEFAULT 0;
