-- 1 = Organization.name
-- 2 = Organization
-- 3 = Task.owner
-- 4 = Task
SELECT v.vid
FROM version v
WHERE v.vid IN (SELECT r.vid
FROM (SELECT v.vid
FROM version v
WHERE v.vid IN (SELECT d.vid
FROM string d
WHERE d.key = ? AND d.prefix >= ? AND d.prefix < ?) AND +v.type = ? AND v.ended IS NULL AND v.deleted = 0) i
CROSS JOIN version w
CROSS JOIN reference r
WHERE w.vid = i.vid AND r.target = w.rid AND r.key = ?) AND +v.type = ? AND v.ended IS NULL AND v.deleted = 0
ORDER BY v.vid DESC LIMIT ?
-- [1, 'helse nord', 'helse nore', 2, 3, 4, 51]
