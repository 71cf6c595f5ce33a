-- 1 = Plan.finance$1
-- 2 = Plan.finance$2
-- 3 = Plan
SELECT v.vid
FROM version v INDEXED BY version_live
WHERE v.type = ? AND v.ended IS NULL AND v.deleted = 0 AND (EXISTS (SELECT 1
FROM token c0 INDEXED BY token_vid
CROSS JOIN date c1 INDEXED BY date_vid
WHERE (c0.vid = v.vid) AND (c0.key = ?) AND (c0.code IN (?)) AND (c1.vid = v.vid AND c1.n = c0.n) AND (c1.key = ?) AND ((c1.high > ? OR (c1.low >= ? AND c1.high <= ?)))))
ORDER BY v.vid DESC LIMIT ?
-- [3, 1, 'drift', 2, 20, 10, 20, 51]
