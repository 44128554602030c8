-- What faults are to find under way: something of each kind, in many small tasks. A migration takes seconds because
-- a constraint, an index and a materialized view call functions that take their time.
CREATE ROLE chaos_owner;
CREATE FUNCTION slowly(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM pg_sleep(0.0005); RETURN n; END';

CREATE TABLE device (id serial PRIMARY KEY, name text NOT NULL UNIQUE, weight numeric DEFAULT 1.50);
INSERT INTO device (name) SELECT 'device ' || n FROM generate_series(1, 50) n;
ALTER TABLE device OWNER TO chaos_owner;
GRANT SELECT ON device TO PUBLIC;
CREATE TABLE seen (device int, what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO public.seen VALUES (NEW.device, TG_OP); RETURN NULL; END';
CREATE TABLE event (id bigserial PRIMARY KEY, device int REFERENCES device, note text);
CREATE TRIGGER noted AFTER INSERT ON event FOR EACH ROW EXECUTE FUNCTION note();
-- As the living source sets it again and again.
ALTER TABLE event ALTER note SET STATISTICS 50;
INSERT INTO event (device, note) SELECT 1 + n % 50, md5(n::text) FROM generate_series(1, 800) n;
CREATE INDEX event_slowly ON event (slowly(device));
CREATE TABLE part (at date NOT NULL, n int) PARTITION BY RANGE (at);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE part_2 PARTITION OF part DEFAULT;
INSERT INTO part SELECT date '2024-01-15' + n, n FROM generate_series(1, 90) n;
-- Copied in parts, and without a key that would refuse a row that comes twice.
CREATE TABLE large (n int, filler text);
INSERT INTO large SELECT n, repeat('x', 300) FROM generate_series(1, 3000) n;
-- Hypertables on the target, whose owner may not even look into the schema.
CREATE SCHEMA future;
CREATE TABLE future.metric (t timestamptz NOT NULL, n int, filler text);
INSERT INTO future.metric SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '25 minutes', n, repeat('z', 300) FROM generate_series(1, 2000) n;
CREATE INDEX ON future.metric (n);
CREATE TABLE future.parted (t timestamptz NOT NULL, n int, PRIMARY KEY (t, n)) PARTITION BY RANGE (t);
CREATE TABLE future.parted_1 PARTITION OF future.parted FOR VALUES FROM ('2024-01-01 UTC') TO ('2024-01-12 UTC');
CREATE TABLE future.parted_2 PARTITION OF future.parted FOR VALUES FROM ('2024-01-12 UTC') TO ('2024-02-01 UTC');
CREATE TABLE future.parted_3 PARTITION OF future.parted DEFAULT;
INSERT INTO future.parted SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '1 hour', n FROM generate_series(1, 900) n;
CREATE TABLE future.divided (t timestamptz NOT NULL, n int, v text);
SELECT create_hypertable('future.divided', by_range('t', INTERVAL '1 day'));
INSERT INTO future.divided SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '20 minutes', n, repeat('z', 100) FROM generate_series(1, 1500) n;
ALTER TABLE future.metric OWNER TO chaos_owner;
ALTER TABLE future.parted OWNER TO chaos_owner;
ALTER TABLE future.divided OWNER TO chaos_owner;
CREATE SEQUENCE counted START 7;
SELECT nextval('counted') FROM generate_series(1, 9);
CREATE MATERIALIZED VIEW sums AS SELECT device, count(*), max(slowly(device)) FROM event GROUP BY 1;
CREATE UNIQUE INDEX ON sums (device);
CREATE VIEW over_sums AS SELECT sum(count) FROM sums;
SELECT lo_from_bytea(4711, '\x00ff'), lo_from_bytea(4712, convert_to(repeat('0123456789', 9000), 'UTF8'));

CREATE TABLE reading (t timestamptz NOT NULL, device int REFERENCES device, v float8, n int CHECK (slowly(n) >= 0));
SELECT create_hypertable('reading', by_range('t', INTERVAL '1 day'));
INSERT INTO reading SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '25 minutes', 1 + n % 50, n / 7.0, n FROM generate_series(0, 1999) n;
CREATE INDEX ON reading (device, t DESC);
CREATE TABLE tick (at bigint NOT NULL, v int, PRIMARY KEY (at));
SELECT create_hypertable('tick', by_range('at', 1000));
INSERT INTO tick SELECT n, n % 77 FROM generate_series(0, 9000, 3) n;
