-- 1 = Task.name
-- 2 = Task
-- 3 = Task.due
WITH m(vid) AS (SELECT v.vid
FROM version v
WHERE v.vid IN (SELECT d.vid
FROM string d
WHERE d.key = ? AND d.prefix >= ? AND d.prefix < ?) AND +v.type = ? AND v.ended IS NULL AND v.deleted = 0), k AS MATERIALIZED (SELECT m.vid AS vid, (SELECT max(s.high)
FROM date s INDEXED BY date_vid
WHERE s.vid = m.vid AND s.key = ?) AS k0, (SELECT substr(q.ref, ?)
FROM version x
CROSS JOIN resource q
WHERE x.vid = m.vid AND q.rid = x.rid) AS k1
FROM m) SELECT vid, k0, k1
FROM k
WHERE (k0 IS NULL AND (k1 > ? OR k1 IS NULL OR (k1 = ? AND vid < ?)))
ORDER BY k0 DESC NULLS LAST, k1 ASC NULLS LAST, vid DESC LIMIT ?
-- [1, 'å', 'æ', 2, 3, 6, 'a', 'a', 65536, 51]
