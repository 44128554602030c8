-- What both servers must answer alike. Chunks are named by their ranges and jobs by what they do, as numbers may differ.
SET timezone = 'UTC';

-- Chunks, with what TimescaleDB says of their state.
SELECT range_start::date, range_end::date, array_to_string(_timescaledb_functions.chunk_status_text(chunk), ', ') AS status
FROM (SELECT *, format('%I.%I', chunk_schema, chunk_name)::regclass AS chunk FROM timescaledb_information.chunks) c
WHERE hypertable_name = 'weather' ORDER BY 1;

-- Rows begin in June; the aggregates, in January.
SELECT (SELECT min(time_hour)::date FROM weather) AS weather, (SELECT min(day)::date FROM weather_by_day) AS weather_by_day,
       (SELECT min(month)::date FROM weather_by_month) AS weather_by_month;
SELECT month::date, origin, hours, round(temp::numeric, 2) AS temp, round(wind_speed::numeric, 2) AS wind_speed
FROM weather_by_month WHERE month < '2013-03-01' OR month = '2013-10-01' ORDER BY 1, 2;
SELECT count(*) AS days, md5(string_agg(d::text, ' ' ORDER BY day, origin)) AS weather_by_day FROM weather_by_day d;

-- Policies and jobs.
SELECT proc_name, hypertable_name AS on, schedule_interval AS every, initial_start, CASE WHEN scheduled THEN 'scheduled' ELSE 'paused' END AS state,
       config - '{hypertable_id,mat_hypertable_id}'::text[] AS config
FROM timescaledb_information.jobs WHERE job_id >= 1000 ORDER BY proc_name, config::text;
