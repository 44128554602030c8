-- Life goes on: late rows into a compressed chunk, and a refresh, which leaves the months without rows alone.
\set ON_ERROR_STOP on
\set QUIET on
INSERT INTO weather (origin, temp, wind_speed, time_hour) VALUES ('JFK', 99, 77, '2013-10-20 00:30 UTC'), ('LGA', 98, 66, '2013-10-20 00:30 UTC');
CALL refresh_continuous_aggregate('weather_by_day', '2013-07-01 UTC', '2014-01-01 UTC');
CALL refresh_continuous_aggregate('weather_by_month', '2013-07-01 UTC', '2014-01-01 UTC');
