-- The pending deliveries of a lane; 20,000: that many or more.
SELECT COUNT(*) AS pending
FROM (SELECT 1 FROM webhook_deliveries FORCE INDEX (by_lane) WHERE lane_id = ? AND state = 1 LIMIT 20000) AS counted
