-- 1 = Task.size
-- 2 = urn:ucum
-- 3 = Task
SELECT v.vid
FROM version v INDEXED BY version_live
WHERE v.type = ? AND v.ended IS NULL AND v.deleted = 0 AND (EXISTS (SELECT 1
FROM quantity t INDEXED BY quantity_vid
WHERE t.vid = v.vid AND t.key = ? AND ((t.high > ?) AND ((t.code = ?) AND (t.system = ?)))))
ORDER BY v.vid DESC LIMIT ?
-- [3, 1, 5, 'mg', 2, 51]
