-- Late rows for a compressed chunk, and a refresh of all that there are rows for.
INSERT INTO weather (origin, temp, wind_speed, time_hour) VALUES ('JFK', 99, 77, '2013-10-20 00:30 UTC'), ('LGA', 98, 66, '2013-10-20 00:30 UTC');
CALL refresh_continuous_aggregate('weather_by_day', '2013-07-01 UTC', '2014-01-01 UTC');
CALL refresh_continuous_aggregate('weather_by_month', '2013-07-01 UTC', '2014-01-01 UTC');
