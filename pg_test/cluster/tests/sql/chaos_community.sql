-- Besides, where the edition has them: compressed chunks. Continuous aggregates follow one by one, because a refresh
-- wants no transaction around it.
CREATE FUNCTION now_tick() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT bigint ''10000''';
SELECT set_integer_now_func('tick', 'now_tick');
ALTER TABLE tick SET (timescaledb.compress, timescaledb.compress_orderby = 'at');
CREATE TABLE packed (t timestamptz NOT NULL, device int, v text);
SELECT create_hypertable('packed', by_range('t', INTERVAL '1 day'));
ALTER TABLE packed SET (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 't');
INSERT INTO packed SELECT timestamptz '2024-01-01 UTC' + n * INTERVAL '6 minutes', n % 5, md5(n::text) FROM generate_series(0, 12 * 240 - 1) n;
SELECT count(compress_chunk(c)) FROM show_chunks('packed', older_than => timestamptz '2024-01-10 UTC') c;
INSERT INTO packed SELECT timestamptz '2024-01-02 00:01 UTC' + n * INTERVAL '1 hour', 3, 'late' FROM generate_series(0, 30) n;
SELECT count(compress_chunk(c)) FROM show_chunks('tick', older_than => 5000) c;
ALTER TABLE future.divided SET (timescaledb.compress);
SELECT count(compress_chunk(c)) FROM show_chunks('future.divided', older_than => timestamptz '2024-01-10 UTC') c;
