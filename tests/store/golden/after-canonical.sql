-- 1 = Plan.url
-- 2 = Plan
-- 3 = Plan.after
-- 4 = Plan.version
SELECT v.vid
FROM version v
WHERE v.vid IN (SELECT r.vid
FROM (SELECT v.vid
FROM version v
WHERE v.vid IN (SELECT d.vid
FROM uri d
WHERE d.key = ? AND d.value = ?
UNION ALL SELECT d.vid
FROM uri d
WHERE d.key = ? AND d.value >= ? AND d.value < ?
UNION ALL SELECT d.vid
FROM uri d
WHERE d.key = ? AND d.value >= ? AND d.value < ?) AND +v.type = ? AND v.ended IS NULL AND v.deleted = 0) i
CROSS JOIN version w
CROSS JOIN uri uw INDEXED BY uri_vid
CROSS JOIN resource q
CROSS JOIN reference r
WHERE w.vid = i.vid AND uw.vid = w.vid AND q.ref = uw.value AND r.target = q.rid AND r.key = ? AND uw.key = ? AND (r.version = '' OR EXISTS (SELECT 1
FROM token k INDEXED BY token_vid
WHERE k.vid = w.vid AND k.key = ? AND k.code = r.version))) AND +v.type = ? AND v.ended IS NULL AND v.deleted = 0
ORDER BY v.vid DESC LIMIT ?
-- [1, 'http://e', 1, 'http://e/', 'http://e0', 1, 'http://e|', 'http://e}', 2, 3, 1, 4, 2, 51]
